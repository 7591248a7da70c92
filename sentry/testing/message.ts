/** struct msghdr in a fake task's memory: for tests of sendmsg(2) and recvmsg(2). */
import { setLen64 } from '../../abi/struct.ts';
import { bytesOf } from '../../lib/byte_string.ts';
import type { FileUser } from './fake_files.ts';

export interface Received {
  readonly result: number;
  readonly text: string;
  readonly flags: number;
  /** Level, type and data of each control message. */
  readonly control: readonly { readonly level: number; readonly type: number; readonly data: Int32Array }[];
  readonly name: string;
}

/** A control message: cmsghdr and data, padded. */
export function controlMessage(level: number, type: number, data: readonly number[]): Uint8Array {
  const bytes = new Uint8Array((16 + data.length * 4 + 7) & ~7);
  const view = new DataView(bytes.buffer);
  setLen64(view, 0, 16 + data.length * 4);
  view.setInt32(8, level, true);
  view.setInt32(12, type, true);
  for (const [i, n] of data.entries()) view.setInt32(16 + 4 * i, n, true);
  return bytes;
}

function header(user: FileUser, name: Uint8Array | number, data: Uint8Array | number, control: Uint8Array | number): number {
  const { memory } = user;
  const size = (x: Uint8Array | number): number => (typeof x === 'number' ? x : x.length);
  const iov = new Uint8Array(16);
  setLen64(new DataView(iov.buffer), 0, memory.place(data));
  setLen64(new DataView(iov.buffer), 8, size(data));
  const bytes = new Uint8Array(56);
  const view = new DataView(bytes.buffer);
  if (size(name) > 0) setLen64(view, 0, memory.place(name));
  view.setUint32(8, size(name), true);
  setLen64(view, 16, memory.place(iov));
  setLen64(view, 24, 1);
  if (size(control) > 0) setLen64(view, 32, memory.place(control));
  setLen64(view, 40, size(control));
  return memory.place(bytes);
}

export function sendmsg(user: FileUser, fd: number, text: string, control: Uint8Array = new Uint8Array(0), flags = 0): number | null {
  return user.try('sendmsg', fd, header(user, 0, bytesOf(text), control), flags);
}

export function recvmsg(user: FileUser, fd: number, count: number, controlRoom = 256, flags = 0): Received {
  const at = header(user, 128, count, controlRoom);
  const result = user.call('recvmsg', fd, at, flags);
  const { memory } = user;
  const address = (offset: number): number => Number(memory.u64(at + offset));
  const buffer = Number(memory.u64(address(16)));
  const text = result > 0 ? Buffer.from(memory.slice(buffer, Math.min(result, count))).toString('latin1') : '';
  const control: { level: number; type: number; data: Int32Array }[] = [];
  const used = result < 0 ? 0 : address(40);
  for (let i = 0; i + 16 <= used; ) {
    const cmsg = address(32) + i;
    const length = Number(memory.u64(cmsg));
    control.push({
      level: memory.i32(cmsg + 8),
      type: memory.i32(cmsg + 12),
      data: new Int32Array(memory.slice(cmsg + 16, (length - 16) & ~3).buffer),
    });
    i += (length + 7) & ~7;
  }
  const name = Buffer.from(memory.slice(address(0), memory.u32(at + 8))).toString('latin1');
  return { result, text, flags: memory.i32(at + 48), control, name: result < 0 ? '' : name.slice(2) };
}
