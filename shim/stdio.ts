/**
 * A process's standard streams: containerd names fifos, files or a logging program, and this module opens them. The
 * descriptors go to the sandbox, which reads and writes them itself: no byte passes through the shim. What the shim keeps is
 * - a reader of each output fifo, so that a client that goes away and comes back does not break the pipe;
 * - a writer of the input fifo, so that the program sees the end of its input only after CloseIO and the client's close.
 */
import { closeSync, constants, fstatSync, mkdirSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import { host } from '../lib/host.ts';
import type { Stdio } from '../runsc/container/types.ts';
import { type BinaryLogger, startBinaryLogger } from './binary_logger.ts';

const { O_RDONLY, O_WRONLY, O_NONBLOCK, O_CREAT, O_APPEND } = constants;

/** As in Create and Exec: paths or URIs; empty = none. */
export interface StdioNames {
  readonly stdin: string;
  readonly stdout: string;
  readonly stderr: string;
  readonly terminal: boolean;
}

export interface StdioOwner {
  readonly namespace: string;
  readonly containerId: string;
}

export interface ProcessStdio {
  /** To hand to the sandbox. */
  readonly stdio: Stdio;
  /** The sandbox has its copies: drops ours. */
  handedOver(): void;
  /** CloseIO. */
  closeStdin(): void;
  /**
   * Resolves when the client has read what lies in the output fifos: some clients stop reading as soon as they hear of the exit.
   * A client that is away or does not go on reading is not waited for long.
   */
  drained(): Promise<void>;
  /** The process has exited and its output is delivered. */
  close(): void;
}

/** ms that a client may take to open its end of an output fifo, and between looks for it. */
const CLIENT_PATIENCE = 3000;
const CLIENT_INTERVAL = 2;

/**
 * Opens all of them, or throws and leaves none open. Waits for the client to have its ends of the output, for at most `patience` ms: containerd
 * opens them in the background, and one that comes when the process has ended already would wait for its output for ever.
 */
export async function openStdio(names: StdioNames, owner: StdioOwner, patience = CLIENT_PATIENCE): Promise<ProcessStdio> {
  const opened = new OpenedStdio(Date.now() + patience);
  try {
    if (names.stdout.startsWith('binary://')) {
      opened.logger = await startBinaryLogger(names.stdout, owner);
      opened.stdout = opened.logger.stdout;
      opened.stderr = opened.logger.stderr; // unused with a terminal, and closed like the rest
    } else {
      opened.stdout = await opened.output(names.stdout);
      if (!names.terminal) opened.stderr = await opened.output(names.stderr);
    }
    if (names.stdin !== '') opened.input(names.stdin);
  } catch (error) {
    opened.handedOver();
    opened.close();
    throw error;
  }
  return opened;
}

/** For a process that has its streams already: the fifos' other ends alone. Null where they are gone, or were never fifos. */
export async function reopenStdio(names: StdioNames, owner: StdioOwner, stdinClosed: boolean): Promise<ProcessStdio | null> {
  const fifo = (name: string): string => (/^[a-z]+:\/\//.test(name) && !name.startsWith('fifo://') ? '' : name);
  const fifos = { ...names, stdin: stdinClosed ? '' : fifo(names.stdin), stdout: fifo(names.stdout), stderr: fifo(names.stderr) };
  try {
    const stdio = await openStdio(fifos, owner, 0);
    stdio.handedOver();
    return stdio;
  } catch {
    return null; // the client has taken them away
  }
}

// ioctl(2): bytes that can be read.
const FIONREAD = 0x541b;
/** ms without progress after which nobody reads, and most ms in all. */
const DRAIN_STALL = 500;
const DRAIN_LIMIT = 5000;
const DRAIN_INTERVAL = 2;

class OpenedStdio implements ProcessStdio {
  stdin: number | null = null;
  stdout: number | null = null;
  stderr: number | null = null;
  logger: BinaryLogger | null = null;
  #stdinWriter: number | null = null;
  #readers: number[] = [];
  /** Until when clients are waited for, ms since the epoch. */
  readonly #meetUntil: number;

  constructor(meetUntil: number) {
    this.#meetUntil = meetUntil;
  }

  get stdio(): Stdio {
    return { stdin: this.stdin, stdout: this.stdout, stderr: this.stderr };
  }

  async output(name: string): Promise<number | null> {
    if (name === '') return null;
    const { scheme, path } = splitUri(name);
    if (scheme === 'file') {
      mkdirSync(dirname(path), { recursive: true, mode: 0o711 });
      return openSync(path, O_WRONLY | O_CREAT | O_APPEND, 0o644); // appending: both streams may name one file
    }
    if (scheme !== 'fifo') throw new Error(`stdio ${name}: unknown scheme ${scheme}`);
    const met = await this.#meet(path);
    this.#readers.push(openFifo(path, O_RDONLY | O_NONBLOCK));
    return met ?? openFifo(path, O_WRONLY | O_NONBLOCK);
  }

  /** Opens the fifo for writing once it has a reader, the client. Null: it did not come in time. */
  async #meet(path: string): Promise<number | null> {
    for (;;) {
      try {
        return openFifo(path, O_WRONLY | O_NONBLOCK);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENXIO') throw error;
      }
      if (Date.now() >= this.#meetUntil) return null;
      await new Promise((resolve) => setTimeout(resolve, CLIENT_INTERVAL));
    }
  }

  input(name: string): void {
    const { scheme, path } = splitUri(name);
    if (scheme !== 'fifo') throw new Error(`stdin ${name}: unknown scheme ${scheme}`);
    this.stdin = openFifo(path, O_RDONLY | O_NONBLOCK);
    this.#stdinWriter = openFifo(path, O_WRONLY | O_NONBLOCK);
  }

  handedOver(): void {
    for (const fd of [this.stdin, this.stdout, this.stderr]) if (fd !== null) closeSync(fd);
    this.stdin = null;
    this.stdout = null;
    this.stderr = null;
  }

  closeStdin(): void {
    if (this.#stdinWriter !== null) closeSync(this.#stdinWriter);
    this.#stdinWriter = null;
  }

  async drained(): Promise<void> {
    let left = this.#unread();
    const end = Date.now() + DRAIN_LIMIT;
    for (let progress = Date.now(); left > 0; ) {
      await new Promise((resolve) => setTimeout(resolve, DRAIN_INTERVAL));
      const now = this.#unread();
      if (now < left) progress = Date.now();
      left = now;
      if (Date.now() > end || Date.now() - progress > DRAIN_STALL) return;
    }
  }

  #unread(): number {
    const count = new Int32Array(1);
    let total = 0;
    for (const fd of this.#readers) if (host.ioctl(fd, FIONREAD, count) === 0) total += count[0] as number;
    return total;
  }

  close(): void {
    this.closeStdin();
    for (const fd of this.#readers.splice(0)) closeSync(fd);
    this.logger?.stop();
    this.logger = null;
  }
}

function splitUri(name: string): { scheme: string; path: string } {
  const uri = /^([a-z]+):\/\/(.*)$/s.exec(name);
  return uri === null ? { scheme: 'fifo', path: name } : { scheme: uri[1] as string, path: uri[2] as string };
}

/** Anything but a fifo behind the name could block, or be a file that the pod's owner chose. */
function openFifo(path: string, flags: number): number {
  const fd = openSync(path, flags);
  if (fstatSync(fd).isFIFO()) return fd;
  closeSync(fd);
  throw new Error(`stdio ${path} is no fifo`);
}
