/** `start`: makes the daemon that serves a pod's containers, or finds it, and prints where it listens. Nothing else may be printed. */
import { spawn } from 'node:child_process';
import { openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { O_NONBLOCK, O_RDWR } from '../abi/fcntl.ts';
import type { ShimArguments } from './arguments.ts';
import { writeAddress, writeOptions } from './bundle.ts';
import { groupOf } from './group.ts';
import { listenAt, socketPath } from './listen.ts';
import { decodeOptionsAny, loadOptions, type ShimOptions } from './options.ts';

/** Where the daemon finds its listening socket. */
export const LISTEN_FD = 3;

export async function start(args: ShimArguments): Promise<void> {
  const bundle = process.cwd();
  const any = startOptions();
  const options = await loadOptions(decodeOptionsAny(any));
  const path = socketPath(args.address, args.namespace, groupOf(bundle, args.id, options.grouping));
  const address = `unix://${path}`;
  const fd = listenAt(path);
  if (fd !== null) serve(args, path, fd, options.grouping === 'node' ? 'keep' : 'serve');
  writeAddress(bundle, address);
  if (any.length > 0) writeOptions(bundle, any);
  writeSync(1, bootstrap(options, path));
}

/**
 * A plain address means Task v2 over ttrpc to every containerd; anything else takes JSON, which 1.6 does not read. With gRPC containerd puts
 * the scheme before the address itself.
 */
export function bootstrap({ taskApi, protocol }: Pick<ShimOptions, 'taskApi' | 'protocol'>, path: string): string {
  const address = protocol === 'grpc' ? path : `unix://${path}`;
  return taskApi === 2 && protocol === 'ttrpc' ? address : JSON.stringify({ version: taskApi, address, protocol });
}

/** The options that containerd pipes to stdin: nothing, or a serialized Any. */
function startOptions(): Buffer {
  try {
    return readFileSync(0);
  } catch {
    return Buffer.alloc(0); // closed, or a terminal
  }
}

/** Starts the daemon: own session, no descriptor of ours but the socket and containerd's log. */
function serve(args: ShimArguments, path: string, fd: number, action: 'keep' | 'serve'): void {
  const words = ['-namespace', args.namespace, '-address', args.address, '-id', args.id, '-socket', path];
  if (args.publishBinary !== '') words.push('-publish-binary', args.publishBinary);
  if (args.debug) words.push('-debug');
  const log = openLog();
  const child = spawn(process.execPath, [...process.execArgv, process.argv[1] as string, ...words, action], {
    detached: true,
    cwd: '/', // the bundle goes before a pod's daemon does
    stdio: ['ignore', log ?? 'ignore', log ?? 'ignore', fd],
  });
  child.on('error', () => {}); // no pid: thrown below
  if (child.pid === undefined) throw new Error(`cannot start ${process.execPath}`);
  child.unref();
}

/** containerd's log fifo, in a way that neither waits for a reader nor fails when it goes. */
export function openLog(bundle = '.'): number | null {
  try {
    return openSync(join(bundle, 'log'), O_RDWR | O_NONBLOCK);
  } catch {
    return null;
  }
}
