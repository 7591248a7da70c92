/** What the workloads need in the root file system that all targets share: below /bench, and the mount point /volume. */
import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, realpathSync } from 'node:fs';
import { basename, join } from 'node:path';

/** Programs of this machine that the root file system does not have: copied with their libraries. */
const BORROWED = ['redis-server', 'redis-benchmark'];

/** @throws Error without a root file system. */
export function prepare(rootfs: string, workloads: string): void {
  if (!existsSync(rootfs)) throw new Error(`no root file system at ${rootfs}: run scripts/images/build.sh, or give --rootfs`);
  const folder = join(rootfs, 'bench');
  mkdirSync(join(folder, 'data'), { recursive: true });
  mkdirSync(join(rootfs, 'volume'), { recursive: true });
  execFileSync('gcc', ['-O2', '-static', '-o', join(folder, 'micro'), join(workloads, 'micro.c'), '-lpthread']);
  copyFileSync(join(workloads, 'programs.sh'), join(folder, 'programs.sh'));
  for (const program of BORROWED) borrow(program, join(folder, 'borrowed'));
}

/** The program and the libraries that it names, in one folder. A program that is not here is left out: its row says so. */
function borrow(program: string, folder: string): void {
  const found = spawnSync('sh', ['-c', 'command -v "$1"', 'sh', program], { encoding: 'utf8' }).stdout.trim();
  if (found === '') return;
  mkdirSync(folder, { recursive: true });
  copyFileSync(realpathSync(found), join(folder, program));
  for (const line of execFileSync('ldd', [found], { encoding: 'utf8' }).split('\n')) {
    const library = /=> (\/\S+)/.exec(line)?.[1];
    if (library !== undefined) copyFileSync(library, join(folder, basename(library)));
  }
}
