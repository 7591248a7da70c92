# fs, child_process, worker_threads, cluster over a unix socket, streams, timers.
set -e
cd /tmp
cat >main.js <<'END'
const fs = require('fs'), cp = require('child_process'), { Worker, isMainThread, parentPort, workerData } = require('worker_threads');
const cluster = require('cluster'), net = require('net'), http = require('http');
if (!isMainThread) { let s = 0; for (let i = 0; i < 1e6; i++) s = (s + i * workerData) % 1000003; parentPort.postMessage(s); return; }
if (cluster.isWorker) { net.createServer((c) => c.end('from a worker')).listen('/tmp/cluster.sock'); return; }
(async () => {
  fs.mkdirSync('/tmp/d/e', { recursive: true });
  for (let i = 0; i < 200; i++) await fs.promises.writeFile(`/tmp/d/e/${i}`, String(i));
  console.log('files', (await fs.promises.readdir('/tmp/d/e')).length, fs.statSync('/tmp/d/e/199').size);
  fs.cpSync('/tmp/d', '/tmp/f', { recursive: true }); fs.rmSync('/tmp/d', { recursive: true });
  console.log('copied', fs.readdirSync('/tmp/f/e').length, fs.existsSync('/tmp/d'));
  console.log(cp.execSync('echo sync').toString().trim(), cp.spawnSync('sh', ['-c', 'exit 7']).status);
  const many = await Promise.all([...Array(20).keys()].map((i) => new Promise((r) => cp.exec(`echo ${i}`, (e, o) => r(+o)))));
  console.log('children', many.reduce((a, b) => a + b));
  console.log('workers', (await Promise.all([1, 2, 3, 4].map((n) => new Promise((r) => new Worker(__filename, { workerData: n }).on('message', r))))).join());
  const seen = new Promise((r) => fs.watch('/tmp/f', (type, name) => r(`${type} ${name}`)));
  fs.writeFileSync('/tmp/f/new', ''); console.log('watched', await seen);
  const server = http.createServer((q, s) => q.pipe(s)).listen(0, '127.0.0.1'); await new Promise((r) => server.once('listening', r));
  const body = Buffer.alloc(1 << 20, 'x');
  const got = await fetch(`http://127.0.0.1:${server.address().port}/`, { method: 'POST', body }).then((r) => r.arrayBuffer());
  console.log('http', got.byteLength); server.closeAllConnections(); server.close();
  const worker = cluster.fork(); await new Promise((r) => cluster.once('listening', r));
  console.log(await new Promise((r) => { let t = ''; net.connect('/tmp/cluster.sock').on('data', (d) => (t += d)).on('end', () => r(t)); }));
  const left = new Promise((r) => worker.once('exit', (c, s) => r(s))); worker.process.kill('SIGTERM'); console.log('worker', await left);
  process.once('SIGUSR2', () => { console.log('signal'); process.exit(0); }); process.kill(process.pid, 'SIGUSR2'); setTimeout(() => {}, 5000);
})();
END
node main.js
