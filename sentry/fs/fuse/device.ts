/** /dev/fuse: where a server reads requests and writes answers. mount(2) makes a connection of an open one. */
import { EFAULT, EINVAL, ENODEV, ENOTTY, EPERM, type Errno } from '../../../abi/errno.ts';
import * as F from '../../../abi/fuse.ts';
import { POLLERR } from '../../../abi/poll.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import type { Task } from '../../kernel/task.ts';
import { WaitQueue } from '../../kernel/wait.ts';
import { type FileDescription, FileImpl } from '../../vfs/file.ts';
import type { Sink, Source } from '../../vfs/io.ts';
import { type FuseConnection, MAX_REPLY } from './connection.ts';

export class FuseDevice extends FileImpl {
  private connection: FuseConnection | null = null;
  /** The connection's, once there is one. */
  override queue = new WaitQueue();

  get isBound(): boolean {
    return this.connection !== null;
  }
  bind(connection: FuseConnection): void {
    this.connection = connection;
    this.queue = connection.readers;
    connection.devices++;
  }

  override read(dst: Sink): number {
    const { connection } = this;
    if (connection === null) return EPERM;
    if (dst.remaining < connection.leastRoom && connection.state !== 'dead') return EINVAL;
    const message = connection.next(dst.remaining);
    if (typeof message === 'number') return message;
    const n = dst.put(message);
    // The request is gone: nobody will answer it, as on Linux its caller fails.
    if (n < message.length) connection.undelivered(message);
    return n < message.length ? EFAULT : n;
  }
  override write(src: Source): number {
    const { connection } = this;
    if (connection === null) return EPERM;
    if (connection.state === 'dead') return ENODEV;
    const { remaining } = src;
    if (remaining > MAX_REPLY) return EINVAL;
    const message = new Uint8Array(remaining);
    if (src.take(message, 0, remaining) !== remaining) return EFAULT;
    return connection.receive(message, src.spliced === true);
  }
  override poll(): number {
    return this.connection === null ? POLLERR : this.connection.poll();
  }
  override ioctl(_file: FileDescription, task: Task, command: number, argument: number): number {
    return command >>> 0 === F.FUSE_DEV_IOC_CLONE ? this.clone(task, argument) : ENOTTY;
  }
  /** Another reader of the same connection. */
  private clone(task: Task, address: number): number {
    const raw = task.readBytes(address, 4);
    if (typeof raw === 'number') return raw;
    const file = task.fds.get(new DataView(raw.buffer).getInt32(0, true));
    if (typeof file === 'number') return EINVAL;
    const from = file.impl instanceof FuseDevice ? file.impl.connection : null;
    if (from === null || this.connection !== null) return EINVAL;
    this.bind(from);
    return 0;
  }
  /** The server's last descriptor: there will be no more answers. */
  override release(): void {
    const { connection } = this;
    if (connection !== null && --connection.devices === 0) connection.abort();
  }
}

export function registerFuseDevice({ devices }: Kernel): void {
  devices.registerCharacter({
    name: 'misc',
    major: F.MISC_MAJOR,
    firstMinor: F.FUSE_MINOR,
    minors: 1,
    open: () => new FuseDevice(),
  });
}

/** The device file that a mount option names; EINVAL: there is none, or it serves another mount. */
export function deviceFor(task: Task, fd: number): FuseDevice | Errno {
  const file = task.fds.get(fd);
  if (typeof file === 'number' || !(file.impl instanceof FuseDevice) || file.impl.isBound) return EINVAL;
  return file.impl;
}
