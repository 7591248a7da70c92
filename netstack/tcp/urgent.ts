/**
 * Urgent data as Linux has it (tcp(7)): one byte at a time, the one before the pointer. It is taken out of the stream, unless
 * SO_OOBINLINE, and a read stops before it.
 */
import { EAGAIN, EINVAL, type Errno } from '../../abi/errno.ts';
import { POLLPRI, POLLRDBAND } from '../../abi/poll.ts';
import type { Connection } from './connection.ts';
import type { Segment } from './segment.ts';
import { add, distance, less } from './sequence.ts';

/** Number of the next byte that the owner reads. */
function nextToRead(c: Connection): number {
  return add(c.rcvNxt, -c.receiving.ring.length - (c.finReceived ? 1 : 0));
}

/** A segment with URG: where the mark is now. Before its payload is taken in. */
export function takeUrgentPointer(c: Connection, s: Segment): void {
  if (s.urgentPointer === 0) return;
  const at = add(s.seq, s.urgentPointer - 1);
  // One that is read, and one that is known.
  if (less(at, nextToRead(c)) || less(at, c.rcvNxt)) return;
  if (c.urgent !== null && !less(c.urgent, at)) return;
  c.urgent = at;
  c.urgentState = 'expected';
  c.onUrgent();
}
/** After payload was taken in: is the marked byte there? */
export function findUrgentByte(c: Connection): void {
  if (c.urgent === null || c.urgentState !== 'expected' || !less(c.urgent, c.rcvNxt)) return;
  const offset = distance(c.urgent, nextToRead(c));
  if (offset < 0 || offset >= c.receiving.ring.length) return;
  c.urgentByte = c.receiving.ring.byteAt(offset);
  c.urgentState = 'here';
  c.notify(POLLPRI | POLLRDBAND);
}

/** recv(2) with MSG_OOB: the byte, EINVAL if there is none to be had, EAGAIN if it is announced only. */
export function readUrgent(c: Connection, peek: boolean): number | Errno {
  if (c.options.urgentInline || c.urgent === null || c.urgentState === 'read') return EINVAL;
  if (c.urgentState === 'expected') return EAGAIN;
  if (!peek) c.urgentState = 'read';
  return c.urgentByte;
}
/** SIOCATMARK: is the next byte to read the marked one? */
export function atMark(c: Connection): boolean {
  return c.urgent !== null && c.urgent === nextToRead(c);
}
/**
 * How many of `length` bytes may be read at once: up to the mark, which is passed over when it comes first. `offset`: bytes that the
 * call has already looked at.
 */
export function upToMark(c: Connection, length: number, first: boolean): number {
  if (c.urgent === null) return length;
  const offset = distance(c.urgent, nextToRead(c));
  if (offset < 0) {
    c.urgent = null;
    return length;
  }
  if (offset >= length && offset > 0) return length;
  if (offset > 0) return offset;
  if (c.receiving.ring.length === 0) return length;
  if (!first) return 0;
  if (!c.options.urgentInline) {
    c.receiving.ring.drop(1);
    if (c.urgentState !== 'here') c.urgent = null;
  } else c.urgent = null;
  return length;
}
export function urgentPoll(c: Connection): number {
  return c.urgent !== null && c.urgentState === 'here' ? POLLPRI : 0;
}
