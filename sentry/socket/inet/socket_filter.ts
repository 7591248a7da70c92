/** SO_ATTACH_FILTER: struct sock_fprog from user memory. */
import { EFAULT, EINVAL, type Errno, isErrno } from '../../../abi/errno.ts';
import { getLen64 } from '../../../abi/struct.ts';
import { type FilterInstruction, MAX_INSTRUCTIONS, validFilter } from '../../../netstack/packet_filter.ts';
import type { Task } from '../../kernel/task.ts';

/** struct sock_filter. */
const INSTRUCTION_SIZE = 8;

/** `value`: the struct, which points at the program. */
export function readFilter(task: Task, value: Uint8Array): FilterInstruction[] | Errno {
  const view = new DataView(value.buffer, value.byteOffset, value.length);
  const count = view.getUint16(0, true);
  if (count === 0 || count > MAX_INSTRUCTIONS) return EINVAL;
  const bytes = task.readBytes(getLen64(view, 8), count * INSTRUCTION_SIZE);
  if (isErrno(bytes)) return EFAULT;
  const code = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const program: FilterInstruction[] = [];
  for (let at = 0; at < bytes.length; at += INSTRUCTION_SIZE) {
    program.push({
      code: code.getUint16(at, true),
      jt: code.getUint8(at + 2),
      jf: code.getUint8(at + 3),
      k: code.getUint32(at + 4, true),
    });
  }
  return validFilter(program) ? program : EINVAL;
}
