/** recvmsg(2) and sendmsg(2) on host sockets: one struct msghdr with all that it points to, laid out once. */
import { Msghdr } from '../../../../abi/socket.ts';
import { getLen64 } from '../../../../abi/struct.ts';
import type { Host } from '../../../../lib/host.ts';
import type { RawControl } from '../../control_message.ts';

// Host system calls, x86-64.
const NR = { sendmsg: 46, recvmsg: 47 } as const;
const NAME_SIZE = 128;
const CONTROL_SIZE = 512;
const CMSG_HEADER = 16;
const align8 = (n: number): number => (n + 7) & ~7;

export class HostMessage {
  private readonly host: Host;
  private readonly header = new DataView(new ArrayBuffer(Msghdr.size));
  private readonly vector = new BigUint64Array(2);
  private readonly nameBytes = new Uint8Array(NAME_SIZE);
  private readonly control = new Uint8Array(CONTROL_SIZE);

  constructor(host: Host) {
    this.host = host;
  }
  private prepare(data: Uint8Array, length: number, nameLength: number, controlLength: number): void {
    const { host } = this;
    this.vector[0] = BigInt(host.addressOf(data));
    this.vector[1] = BigInt(length);
    Msghdr.write(this.header, 0, {
      msg_name: nameLength === 0 ? 0 : host.addressOf(this.nameBytes),
      msg_namelen: nameLength,
      msg_iov: host.addressOf(this.vector),
      msg_iovlen: 1,
      msg_control: controlLength === 0 ? 0 : host.addressOf(this.control),
      msg_controllen: controlLength,
      msg_flags: 0,
    });
  }

  /** Bytes sent, or an errno. name: struct sockaddr, checked. */
  send(fd: number, data: Uint8Array, length: number, name: Uint8Array | null, controls: readonly RawControl[], flags: number): number {
    if (name !== null) this.nameBytes.set(name);
    let at = 0;
    const view = new DataView(this.control.buffer);
    for (const { level, type, data: value } of controls) {
      if (at + align8(CMSG_HEADER + value.length) > CONTROL_SIZE) break;
      this.control.fill(0, at, at + align8(CMSG_HEADER + value.length));
      view.setUint32(at, CMSG_HEADER + value.length, true);
      view.setInt32(at + 8, level, true);
      view.setInt32(at + 12, type, true);
      this.control.set(value, at + CMSG_HEADER);
      at += align8(CMSG_HEADER + value.length);
    }
    this.prepare(data, length, name?.length ?? 0, at);
    return this.host.syscall(NR.sendmsg, fd, this.header, flags);
  }

  /** Bytes received into `data`, or an errno; the other fields tell of the message then. */
  receive(fd: number, data: Uint8Array, length: number, flags: number): number {
    this.prepare(data, length, NAME_SIZE, CONTROL_SIZE);
    return this.host.syscall(NR.recvmsg, fd, this.header, flags);
  }
  /** Of the last receive. Null: a stream. */
  get name(): Uint8Array | null {
    const length = Msghdr.read(this.header, 0).msg_namelen;
    return length === 0 ? null : this.nameBytes.slice(0, Math.min(length, NAME_SIZE));
  }
  get flags(): number {
    return Msghdr.read(this.header, 0).msg_flags;
  }
  get controls(): RawControl[] {
    const end = Math.min(Msghdr.read(this.header, 0).msg_controllen, CONTROL_SIZE);
    const view = new DataView(this.control.buffer);
    const found: RawControl[] = [];
    for (let at = 0; at + CMSG_HEADER <= end; ) {
      const length = getLen64(view, at);
      if (length < CMSG_HEADER || at + length > end) break;
      found.push({
        level: view.getInt32(at + 8, true),
        type: view.getInt32(at + 12, true),
        data: this.control.slice(at + CMSG_HEADER, at + length),
      });
      at += align8(length);
    }
    return found;
  }
}
