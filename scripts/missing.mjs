// Prints what this machine lacks for the integration suites, in one line; nothing if they can run.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const cache = process.env.TSVISOR_CACHE ?? join(root, '.cache');
const lacking = [];
if (process.getuid() !== 0) lacking.push('root');
const release = existsSync('/etc/os-release') ? readFileSync('/etc/os-release', 'utf8') : '';
if (!/^ID="?debian"?$/m.test(release)) lacking.push('Debian');
for (const program of ['containerd', 'ctr', 'runc', 'busybox', 'debootstrap'])
  if (spawnSync('sh', ['-c', `PATH=$PATH:/usr/sbin command -v ${program}`]).status !== 0) lacking.push(program);
for (const image of ['busybox', 'debian']) if (!existsSync(join(cache, 'images', `${image}.tar`))) lacking.push(`the ${image} image`);
console.log(lacking.join(', '));
