/** execve(2)'s lists of strings. They lie side by side as a rule, so memory is read in blocks and not string by string. */
import { E2BIG, EFAULT, type Errno, isErrno } from '../../abi/errno.ts';
import { type ByteString, byteString } from '../../lib/byte_string.ts';
import type { Task } from '../kernel/task.ts';

/** MAX_ARG_STRLEN; most bytes of pointers and strings: beyond them E2BIG. */
const MAX_STRING = 131_072;
const MAX_BYTES = 6 << 20;
/** Pointers read at once. */
const POINTERS = 64;
const POINTER = 8;

/** The strings that the list of pointers at `address` names, up to the null pointer; 0: none. */
export function readStrings(task: Task, address: number): ByteString[] | Errno {
  const out: ByteString[] = [];
  if (address === 0) return out;
  const list = new Uint8Array(POINTERS * POINTER);
  const view = new DataView(list.buffer);
  const strings = new StringBlock(task);
  let total = 0;
  for (let at = address; ; at += POINTERS * POINTER) {
    const whole = Math.floor(Math.max(0, task.thread.space.read(at, list, 0, list.length)) / POINTER);
    for (let i = 0; i < whole; i++) {
      const pointer = view.getUint32(i * POINTER + 4, true) * 0x1_0000_0000 + view.getUint32(i * POINTER, true);
      if (pointer === 0) return out;
      const text = strings.at(pointer);
      if (isErrno(text)) return text === EFAULT ? EFAULT : E2BIG;
      total += text.length + 1 + POINTER;
      if (total > MAX_BYTES) return E2BIG;
      out.push(text);
    }
    if (whole < POINTERS) return EFAULT;
  }
}

/** A block of memory, read where the last string that was not in it begins. */
class StringBlock {
  private readonly task: Task;
  private readonly bytes = new Uint8Array(4096);
  private start = 0;
  private length = 0;

  constructor(task: Task) {
    this.task = task;
  }
  at(address: number): ByteString | Errno {
    if (address < this.start || address >= this.start + this.length) this.fill(address);
    const text = this.find(address);
    if (text !== null) return text;
    if (address !== this.start) {
      this.fill(address);
      const again = this.find(address);
      if (again !== null) return again;
    }
    return this.task.readString(address, MAX_STRING - 1); // longer than a block, or behind the end of what is mapped
  }
  private fill(address: number): void {
    this.start = address;
    this.length = Math.max(0, this.task.thread.space.read(address, this.bytes, 0, this.bytes.length));
  }
  private find(address: number): ByteString | null {
    const from = address - this.start;
    const end = this.bytes.subarray(0, this.length).indexOf(0, from);
    return end < 0 || from >= this.length ? null : byteString(this.bytes, from, end);
  }
}
