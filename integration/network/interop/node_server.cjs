// Echoes what is posted, a megabyte to who asks, and each line of an upgraded connection.
const { createServer } = require('node:http');
const server = createServer((request, response) => {
  if (request.method === 'POST') return request.pipe(response);
  response.setHeader('X-Requests', (request.socket.requests = (request.socket.requests ?? 0) + 1));
  response.end(request.url === '/large' ? Buffer.alloc(1 << 20, 'node') : `hello ${request.url}`);
});
server.on('upgrade', (_request, socket) => {
  socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n');
  socket.pipe(socket);
});
server.listen(Number(process.argv[2]), '::');
