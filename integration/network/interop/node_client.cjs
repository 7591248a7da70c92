const { Agent, request } = require('node:http');
const { createHash, randomBytes } = require('node:crypto');
const [host, port] = [process.argv[2], Number(process.argv[3])];
const agent = new Agent({ keepAlive: true, maxSockets: 4 });
const ask = (path, body) =>
  new Promise((done, failed) => {
    const asked = request({ host, port, path, agent, method: body ? 'POST' : 'GET' }, (response) => {
      const parts = [];
      response.on('data', (part) => parts.push(part)).on('end', () => done({ body: Buffer.concat(parts), headers: response.headers }));
    }).on('error', failed);
    asked.end(body);
  });
(async () => {
  const large = await ask('/large');
  console.log('large', createHash('sha256').update(large.body).digest('hex'));
  const many = await Promise.all([...Array(200).keys()].map((i) => ask(`/${i}`)));
  console.log(
    'many',
    many.every(({ body }, i) => String(body) === `hello /${i}`),
    many.some(({ headers }) => headers['x-requests'] > 10),
  );
  const sent = randomBytes(3 << 20);
  console.log('echo', (await ask('/', sent)).body.equals(sent));
  const socket = await new Promise((done, failed) => {
    const asked = request({ host, port, headers: { Connection: 'Upgrade', Upgrade: 'echo' } });
    asked
      .on('upgrade', (_response, upgraded) => done(upgraded))
      .on('error', failed)
      .end();
  });
  let heard = '';
  for (let i = 0; i < 50; i++) {
    socket.write(`line ${i}\n`);
    await new Promise((done) => socket.once('data', (data) => done((heard += data))));
  }
  console.log('upgrade', heard.split('\n').length);
  socket.end();
  agent.destroy();
})();
