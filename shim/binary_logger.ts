/**
 * A program that takes a container's output ("binary:///path?key=value"): it gets stdout as descriptor 3, stderr as 4, and
 * closes 5 when it is ready.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync } from 'node:fs';
import { Socket } from 'node:net';
import { isErrno } from '../abi/errno.ts';
import { O_CLOEXEC } from '../abi/fcntl.ts';
import { host } from '../lib/host.ts';
import type { StdioOwner } from './stdio.ts';

/** ms until the program must be ready. */
const READY_TIMEOUT = 10_000;
/** ms from the end of its input to SIGTERM, and to SIGKILL. */
const TERM_AFTER = 500;
const KILL_AFTER = 12_000;

export interface BinaryLogger {
  /** Write ends for the sandbox; the owner closes them. */
  readonly stdout: number;
  readonly stderr: number;
  /** No more output comes. */
  stop(): void;
}

export async function startBinaryLogger(uri: string, owner: StdioOwner): Promise<BinaryLogger> {
  const url = new URL(uri);
  const args: string[] = [];
  for (const [key, value] of url.searchParams) args.push(...(value === '' ? [key] : [key, value]));
  const pipes = [pipe(), pipe(), pipe()] as const;
  const [stdout, stderr, ready] = pipes;
  const child = spawn(decodeURIComponent(url.pathname), args, {
    stdio: ['ignore', 'ignore', 'ignore', stdout[0], stderr[0], ready[1]],
    env: { ...process.env, CONTAINER_ID: owner.containerId, CONTAINER_NAMESPACE: owner.namespace },
  });
  for (const fd of [stdout[0], stderr[0], ready[1]]) closeSync(fd);
  try {
    await becomeReady(child, ready[0]);
  } catch (error) {
    closeSync(stdout[1]);
    closeSync(stderr[1]);
    child.kill('SIGKILL');
    throw new Error(`logging program ${url.pathname}: ${(error as Error).message}`);
  }
  return { stdout: stdout[1], stderr: stderr[1], stop: () => stop(child) };
}

function pipe(): [number, number] {
  const pair = host.pipe(O_CLOEXEC);
  if (isErrno(pair)) throw new Error(`pipe: errno ${-pair}`);
  return pair;
}

function becomeReady(child: ChildProcess, fd: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = new Socket({ fd, readable: true, writable: false });
    const end = (error?: Error): void => {
      clearTimeout(timer);
      socket.destroy();
      if (error === undefined) resolve();
      else reject(error);
    };
    const timer = setTimeout(() => end(new Error(`not ready in ${READY_TIMEOUT} ms`)), READY_TIMEOUT);
    child.once('error', (error) => end(error));
    socket.on('data', () => {});
    socket.once('error', (error) => end(error));
    socket.once('end', () => end());
  });
}

/** It ends by itself at the end of its input; signals are for the one that does not. */
function stop(child: ChildProcess): void {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const term = setTimeout(() => child.kill('SIGTERM'), TERM_AFTER);
  const kill = setTimeout(() => child.kill('SIGKILL'), KILL_AFTER);
  child.once('exit', () => {
    clearTimeout(term);
    clearTimeout(kill);
  });
}
