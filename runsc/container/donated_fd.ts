/**
 * Descriptors that go to the sandbox. Streams get an open file description of their own, non-blocking: the sandbox must never wait in
 * the host, and setting O_NONBLOCK on a description that others share would reach into them. Regular files keep theirs, and with it
 * the position that a shell's `>>` or a parent goes on from.
 */
import { fstatSync } from 'node:fs';
import { errnoName } from '../../abi/errno.ts';
import { F_GETFL, O_ACCMODE, O_CLOEXEC, O_NOCTTY, O_NONBLOCK } from '../../abi/fcntl.ts';
import { host } from '../../lib/host.ts';
import { RuntimeError } from './types.ts';

/** A new descriptor, for the caller to close once it is sent. */
export function donate(fd: number): number {
  const info = fstatSync(fd);
  if (info.isFIFO() || info.isCharacterDevice()) {
    const mode = host.fcntl(fd, F_GETFL) & O_ACCMODE;
    const own = host.openat(-100, `/proc/self/fd/${fd}`, mode | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (own >= 0) return own;
  }
  const copy = host.dup(fd);
  if (copy < 0) throw new RuntimeError('Internal', `cannot duplicate descriptor ${fd}: ${errnoName(copy)}`);
  return copy;
}

/** The list a request carries: `add` gives the number by which the message names the descriptor, 0 for none. */
export class DonatedFds {
  readonly fds: number[] = [];

  /** `fd` stays the caller's. */
  add(fd: number | null | undefined): number {
    if (fd === null || fd === undefined) return 0;
    this.fds.push(donate(fd));
    return this.fds.length;
  }
  /** `fd` is ours from now on. */
  take(fd: number): number {
    this.fds.push(fd);
    return this.fds.length;
  }
  close(): void {
    for (const fd of this.fds.splice(0)) host.close(fd);
  }
}
