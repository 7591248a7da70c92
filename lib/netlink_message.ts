/** Messages of netlink(7): a header, a fixed part, attributes. */
import { Nlmsghdr } from '../abi/netlink.ts';

/** Attributes that are being laid out: a message's, or nested ones. */
export class AttributeList {
  protected readonly parts: Uint8Array[] = [];
  protected length = 0;

  /** An attribute: length, type, data, padding to 4 bytes. */
  attribute(type: number, data: Uint8Array): this {
    const header = new Uint8Array(4);
    const view = new DataView(header.buffer);
    view.setUint16(0, 4 + data.length, true);
    view.setUint16(2, type, true);
    this.push(header);
    this.push(data);
    return this;
  }
  u32(type: number, value: number): this {
    return this.attribute(type, new Uint8Array(Uint32Array.of(value).buffer));
  }
  u8(type: number, value: number): this {
    return this.attribute(type, Uint8Array.of(value));
  }
  text(type: number, value: string): this {
    return this.attribute(type, Buffer.from(`${value}\0`, 'latin1'));
  }
  protected push(bytes: Uint8Array): void {
    this.parts.push(bytes);
    const padding = -bytes.length & 3;
    if (padding > 0) this.parts.push(new Uint8Array(padding));
    this.length += bytes.length + padding;
  }
  /** All of them, from out[at] on. */
  write(out: Uint8Array, at = 0): Uint8Array {
    let place = at;
    for (const part of this.parts) {
      out.set(part, place);
      place += part.length;
    }
    return out;
  }
  bytes(): Uint8Array {
    return this.write(new Uint8Array(this.length));
  }
}

export class NetlinkMessage extends AttributeList {
  private readonly type: number;
  private readonly flags: number;

  constructor(type: number, flags: number, body: Uint8Array) {
    super();
    this.type = type;
    this.flags = flags;
    this.push(body);
  }
  encode(sequence: number, portId: number): Uint8Array {
    const length = Nlmsghdr.size + this.length;
    const out = new Uint8Array(length);
    const header = { nlmsg_len: length, nlmsg_type: this.type, nlmsg_flags: this.flags, nlmsg_seq: sequence, nlmsg_pid: portId };
    Nlmsghdr.write(new DataView(out.buffer), 0, header);
    return this.write(out, Nlmsghdr.size);
  }
}

/** The attributes of `bytes`, by type (the low 14 bits); what is malformed ends the list. */
export function parseAttributes(bytes: Uint8Array): Map<number, Uint8Array> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const found = new Map<number, Uint8Array>();
  for (let at = 0; at + 4 <= bytes.length; ) {
    const length = view.getUint16(at, true);
    if (length < 4 || at + length > bytes.length) break;
    found.set(view.getUint16(at + 2, true) & 0x3fff, bytes.subarray(at + 4, at + length));
    at += (length + 3) & ~3;
  }
  return found;
}
