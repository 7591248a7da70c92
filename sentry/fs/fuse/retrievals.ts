/** FUSE_NOTIFY_RETRIEVE: pages of a file that are kept here, sent back to the server that asks for them. They are messages without an answer. */
import { ENOMEM, type Errno } from '../../../abi/errno.ts';
import * as F from '../../../abi/fuse.ts';

const UNIQUE_AT = 8;
/** Most that wait to be read: each holds up to max_write bytes. */
const MAX_WAITING = 32;

export class Retrievals {
  private waiting: Uint8Array[] = [];

  get any(): boolean {
    return this.waiting.length > 0;
  }
  /** `unique`: the server's own number, which the message bears. ENOMEM: it does not read them. */
  add(unique: bigint, nodeid: bigint, offset: number, bytes: Uint8Array): 0 | Errno {
    if (this.waiting.length >= MAX_WAITING) return ENOMEM;
    const header = F.FuseInHeader.size;
    const message = new Uint8Array(header + F.FuseNotifyRetrieveIn.size + bytes.length);
    const view = new DataView(message.buffer);
    const len = message.length;
    F.FuseInHeader.write(view, 0, { len, opcode: F.FUSE_NOTIFY_REPLY, unique: 0, nodeid, uid: 0, gid: 0, pid: 0 });
    view.setBigUint64(UNIQUE_AT, unique, true);
    F.FuseNotifyRetrieveIn.write(view, header, { offset, size: bytes.length });
    message.set(bytes, header + F.FuseNotifyRetrieveIn.size);
    this.waiting.push(message);
    return 0;
  }
  /** Those that do not fit in the server's buffer are lost. */
  next(room: number): Uint8Array | null {
    for (let message = this.waiting.shift(); message !== undefined; message = this.waiting.shift())
      if (message.length <= room) return message;
    return null;
  }
  clear(): void {
    this.waiting = [];
  }
}

/** Its number is not one of ours. */
export function isRetrieval(message: Uint8Array): boolean {
  return new DataView(message.buffer, message.byteOffset).getUint32(4, true) === F.FUSE_NOTIFY_REPLY;
}
