/** ioctl(2) on a FUSE file, in the restricted form: the request's own number says what is copied in and out. */
import { EIO, ENOSYS, ENOTTY } from '../../../abi/errno.ts';
import * as F from '../../../abi/fuse.ts';
import { answered } from '../../kernel/call_log.ts';
import type { Task } from '../../kernel/task.ts';
import type { Blocking } from '../../kernel/wait.ts';
import type { FuseHandle } from './handle.ts';

// ioctl(2): direction in the two highest bits, size in the 14 below
const IOC_WRITE = 1;
const IOC_READ = 2;
const NOTHING = new Uint8Array(0);

/** flags: FUSE_IOCTL_DIR for directories. */
export function* restrictedIoctl(handle: FuseHandle, task: Task, command: number, argument: number, flags: number): Blocking {
  const { connection } = handle.node;
  if (connection.lacks(F.FUSE_IOCTL)) return ENOTTY;
  const direction = (command >>> 30) & 3;
  const size = (command >>> 16) & 0x3fff;
  const in_size = (direction & IOC_WRITE) !== 0 ? size : 0;
  const out_size = (direction & IOC_READ) !== 0 ? size : 0;
  const input = in_size === 0 ? NOTHING : task.readBytes(argument, in_size);
  if (typeof input === 'number') return input;
  const body = F.FuseIoctlIn.encode({ fh: handle.fh, flags, cmd: command >>> 0, arg: argument, in_size, out_size });
  const least = F.FuseIoctlOut.size;
  const request = handle.node.question(F.FUSE_IOCTL, [body, input], { least, most: least + out_size });
  const r = (yield* answered(request, task)) || request.error;
  if (r === ENOSYS) connection.missing.add(F.FUSE_IOCTL);
  if (r !== 0) return r === ENOSYS ? ENOTTY : r;
  const out = F.FuseIoctlOut.decode(request.reply);
  // Only a driver may look at other memory than the number says.
  if ((out.flags & F.FUSE_IOCTL_RETRY) !== 0) return EIO;
  if (out.result < -511) return EIO;
  const output = request.reply.subarray(least);
  return output.length > 0 && out.result >= 0 ? task.copyOut(argument, output) || out.result : out.result;
}
