// Worker threads, child processes, streams, timers and files in Node.js.
const { Worker, isMainThread, parentPort, workerData } = require('worker_threads');
const { execFileSync, spawn } = require('child_process');
const fs = require('fs');
const net = require('net');
const os = require('os');
const path = require('path');
const zlib = require('zlib');

if (!isMainThread) {
  let sum = 0;
  for (let i = 0; i < workerData; i++) sum += i;
  parentPort.postMessage(sum);
} else {
  (async () => {
    const sums = await Promise.all(
      [10, 100, 1000].map((n) => new Promise((resolve, reject) => new Worker(__filename, { workerData: n }).on('message', resolve).on('error', reject))),
    );
    console.log('workers', sums);
    console.log('exec', execFileSync('sh', ['-c', 'echo $((6*7))']).toString().trim());
    const child = spawn('cat');
    child.stdin.end('to cat');
    let out = '';
    for await (const chunk of child.stdout) out += chunk;
    console.log('spawn', out);
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'n-'));
    fs.writeFileSync(path.join(folder, 'a'), 'text');
    console.log('files', fs.readdirSync(folder), fs.statSync(path.join(folder, 'a')).size);
    console.log('zlib', zlib.gunzipSync(zlib.gzipSync('x'.repeat(10000))).length);
    const server = net.createServer((s) => s.end('hello')).listen(path.join(folder, 's'));
    const reply = await new Promise((resolve) => net.connect(path.join(folder, 's')).on('data', (d) => resolve(d.toString())));
    server.close();
    console.log('socket', reply);
    await new Promise((resolve) => setTimeout(resolve, 20));
    console.log('timer');
  })();
}
