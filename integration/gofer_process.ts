/** A gofer process on folders of this machine, and the Sentry's client for it. For tests; needs root. */
import { type ChildProcess, spawn } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { buildSync } from 'esbuild';
import type { GoferConfig } from '../lib/gofer_config.ts';
import { host } from '../lib/host.ts';
import { HostPoll } from '../platforms/host_poll.ts';
import type { Platform } from '../platforms/platform.ts';
import { GoferClient } from '../sentry/fs/gofer/client.ts';
import { GoferFilesystem } from '../sentry/fs/gofer/filesystem.ts';
import type { GoferInode } from '../sentry/fs/gofer/inode.ts';
import { Kernel } from '../sentry/kernel/kernel.ts';
import { FileDescription } from '../sentry/vfs/file.ts';
import type { Inode, OpenContext } from '../sentry/vfs/inode.ts';

const ROOT = resolve(__dirname, '..');
const NODE = join(ROOT, 'node_modules/node/bin/node');
const O_PATH = 0o10000000;

export interface ServedFolder {
  readonly name: string;
  readonly path: string;
  readonly readonly?: boolean;
  readonly direct?: boolean;
  readonly store?: boolean;
}

export interface GoferProcess {
  readonly child: ChildProcess;
  /** Our end of its connection. */
  readonly socket: number;
  /** Resolves with the exit code (null: a signal). */
  readonly exited: Promise<number | null>;
}

const BUNDLE = join(ROOT, '.cache/gofer-test');
export const GOFER = join(BUNDLE, 'gofer.cjs');

/** Suites run side by side: each puts its files in place whole, and they are the same. */
export function buildGofer(): void {
  mkdirSync(BUNDLE, { recursive: true });
  const own = `${process.pid}.new`;
  const options = { bundle: true, platform: 'node', format: 'cjs', target: 'node24' } as const;
  buildSync({ ...options, entryPoints: [join(ROOT, 'gofer/main.ts')], outfile: join(BUNDLE, own) });
  renameSync(join(BUNDLE, own), GOFER);
  copyFileSync(join(ROOT, 'native-addon/build/Release/tsvisor_native.node'), join(BUNDLE, own));
  renameSync(join(BUNDLE, own), join(BUNDLE, 'tsvisor_native.node'));
}

/** `inMemory`: for tests that make more files than a disk likes. */
export function temporaryFolder(inMemory = false): { readonly path: string; remove(): void } {
  const path = mkdtempSync(join(inMemory && existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'gofer-test-'));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

/** `wrap`: a command line in front of node's, for namespaces. */
export function startGofer(
  folders: readonly ServedFolder[],
  confine: GoferConfig['confine'] = 'none',
  wrap: readonly string[] = [],
): GoferProcess {
  const pair = host.socketpair(1);
  if (typeof pair === 'number') throw new Error(`socketpair: ${pair}`);
  const roots = folders.map(({ path }) => host.openat(-100, path, O_PATH));
  const mounts = folders.map(({ name, readonly = false, direct = false, store = false }, i) => {
    return { name, rootFd: 5 + i, readonly, exclusive: false, direct, store };
  });
  const config: GoferConfig = { connections: [{ socketFd: 4, mounts }], confine };
  const memory = host.memfdCreate('config', 0);
  host.write(memory, Buffer.from(JSON.stringify(config)));
  const command = [...wrap, NODE, '--jitless', '--no-warnings', GOFER, '--config-fd', '3'];
  const child = spawn(command[0] as string, command.slice(1), { stdio: ['ignore', 'inherit', 'inherit', memory, pair[1], ...roots] });
  for (const fd of [memory, pair[1], ...roots]) host.close(fd);
  const exited = new Promise<number | null>((done) => child.on('exit', (code) => done(code)));
  return { child, socket: pair[0], exited };
}

/** A kernel that runs nothing: filesystems need its host, clock and numbers. */
export function idleKernel(log: (line: string) => void = () => {}): Kernel {
  return new Kernel({ host, poll: new HostPoll(host), platform: {} as Platform, syscalls: [], log });
}

export function mountGofer(kernel: Kernel, socket: number, name: string, exclusive: boolean): GoferFilesystem {
  const client = GoferClient.connect(host, socket, kernel.log);
  if (typeof client === 'number') throw new Error(`connect: ${client}`);
  const fs = GoferFilesystem.attach(kernel, client, { name, exclusive, readonly: false });
  if (typeof fs === 'number') throw new Error(`attach: ${fs}`);
  return fs;
}

/** What a look-up has found. @throws Error with the errno that it was instead. */
export function inode(found: Inode | number): GoferInode {
  if (typeof found === 'number') throw new Error(`errno ${found}`);
  return found as GoferInode;
}
/** @throws Error with the errno. */
export function open(of: Inode, flags: number): FileDescription {
  const impl = of.open(flags, {} as OpenContext);
  if (typeof impl === 'number') throw new Error(`open: errno ${impl}`);
  return new FileDescription(impl, flags);
}
