// A name server at 127.0.0.11 as container engines have it: answers every question of type A with 10.77.0.1, over UDP and TCP.
const { createSocket } = require('node:dgram');
const { createServer } = require('node:net');

function answer(question) {
  const end = question.indexOf(0, 12) + 5;
  const head = Buffer.from(question.subarray(0, end));
  head.writeUInt16BE(0x8180, 2);
  const isA = question.readUInt16BE(end - 4) === 1;
  head.writeUInt16BE(isA ? 1 : 0, 6);
  head.fill(0, 8, 12);
  return isA ? Buffer.concat([head, Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 10, 77, 0, 1])]) : head;
}
const udp = createSocket('udp4');
udp.on('message', (message, from) => udp.send(answer(message), from.port, from.address));
udp.bind(53, '127.0.0.11', () => {
  createServer((socket) => {
    socket.on('error', () => {});
    socket.once('data', (data) => {
      const reply = answer(data.subarray(2));
      const length = Buffer.alloc(2);
      length.writeUInt16BE(reply.length);
      socket.end(Buffer.concat([length, reply]));
    });
  }).listen(53, '127.0.0.11', () => process.stdout.write('ready\n'));
});
