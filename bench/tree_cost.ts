import { idleKernel, mountGofer, startGofer } from '../integration/gofer_process.ts';
import type { GoferInode } from '../sentry/fs/gofer/inode.ts';

const kernel = idleKernel((line) => console.error(line));
const gofer = startGofer([{ name: '/', path: '/usr' }]);
const fs = mountGofer(kernel, gofer.socket, '/', true);
let count = 0;
let list = 0;
const keep: unknown[] = [];
function visit(dir: GoferInode): void {
  const impl = dir.open(0, {} as never);
  if (typeof impl === 'number') throw new Error('open');
  const names: string[] = [];
  const t = kernel.now();
  impl.readdir({ position: 0, path: null } as never, (name) => names.push(name) > 0, {} as never);
  list += kernel.now() - t;
  for (const name of names) {
    if (name === '.' || name === '..') continue;
    const child = dir.lookup(name, null) as GoferInode;
    if (typeof child === 'number') throw new Error(`lookup ${child}`);
    count++;
    keep.push(child);
    if (child.attributes().size < 0) throw new Error();
    if (child.isDirectory) visit(child);
  }
}
const start = kernel.now();
visit(fs.root);
const ms = (kernel.now() - start) / 1e6;
console.log(
  count,
  'objects',
  ms.toFixed(0),
  'ms',
  ((ms * 1000) / count).toFixed(2),
  'µs each; listing',
  (list / 1e6).toFixed(0),
  'round trips',
  fs.client.roundTrips,
  'rss',
  process.memoryUsage().rss >> 20,
  'heap',
  process.memoryUsage().heapUsed >> 20,
);
fs.release();
