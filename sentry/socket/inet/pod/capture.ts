/**
 * What passes the sandbox's interfaces, as a pcapng file (draft-ietf-opsawg-pcapng): wireshark and tcpdump -r read it. Packets are as the
 * link handed them over: up to 64 KiB where it joined or cuts segments, and outgoing checksums are its to complete.
 */
import type { Kernel } from '../../../kernel/kernel.ts';
import type { PodInterface } from './pod_interface.ts';

const SECTION_HEADER = 0x0a0d0d0a;
const INTERFACE_DESCRIPTION = 1;
const ENHANCED_PACKET = 6;
const BYTE_ORDER_MAGIC = 0x1a2b3c4d;
const LINKTYPE_ETHERNET = 1;
const OPTION_IF_NAME = 2;
const OPTION_IF_TSRESOL = 9;
const NANOSECONDS = 9;
const BUFFER = 1 << 20;
/** ns between a packet and the write that takes it along. */
const DELAY = 50e6;

export class Capture {
  private readonly kernel: Kernel;
  private readonly fd: number;
  private readonly buffer = new Uint8Array(BUFFER);
  private readonly view = new DataView(this.buffer.buffer);
  private used = 0;
  private interfaces = 0;
  private scheduled = false;
  private failed = false;

  /** fd: a file, empty; ours. */
  constructor(kernel: Kernel, fd: number) {
    this.kernel = kernel;
    this.fd = fd;
    kernel.atEnd.push(() => this.flush());
    this.block(SECTION_HEADER, 16, (at) => {
      this.view.setUint32(at, BYTE_ORDER_MAGIC, true);
      this.view.setUint16(at + 4, 1, true); // version 1.0
      this.view.setBigInt64(at + 8, -1n, true); // length not told
    });
    this.flush();
  }

  attach(device: PodInterface): void {
    const id = this.interfaces++;
    const name = Buffer.from(device.name, 'latin1').subarray(0, 15);
    const padded = (name.length + 3) & ~3;
    this.block(INTERFACE_DESCRIPTION, 8 + 4 + padded + 8 + 4, (at) => {
      this.view.setUint16(at, LINKTYPE_ETHERNET, true);
      this.view.setUint16(at + 8, OPTION_IF_NAME, true);
      this.view.setUint16(at + 10, name.length, true);
      this.buffer.set(name, at + 12);
      this.view.setUint16(at + 12 + padded, OPTION_IF_TSRESOL, true);
      this.view.setUint16(at + 14 + padded, 1, true);
      this.buffer[at + 16 + padded] = NANOSECONDS;
    });
    device.tap = (bytes, start, end) => this.packet(id, bytes, start, end);
  }
  private packet(id: number, bytes: Uint8Array, start: number, end: number): void {
    const length = end - start;
    const time = BigInt(Math.floor(this.kernel.realtime()));
    this.block(ENHANCED_PACKET, 20 + ((length + 3) & ~3), (at) => {
      this.view.setUint32(at, id, true);
      this.view.setUint32(at + 4, Number(time >> 32n), true);
      this.view.setUint32(at + 8, Number(time & 0xffff_ffffn), true);
      this.view.setUint32(at + 12, length, true);
      this.view.setUint32(at + 16, length, true);
      this.buffer.set(bytes.subarray(start, end), at + 20);
    });
    if (this.scheduled) return;
    this.scheduled = true;
    this.kernel.timers.add(this.kernel.now() + DELAY, () => {
      this.scheduled = false;
      this.flush();
    });
  }

  /** A block of `length` bytes beside type and the two lengths around it. */
  private block(type: number, length: number, fill: (at: number) => void): void {
    const total = length + 12;
    if (this.used + total > BUFFER) this.flush();
    const at = this.used;
    this.buffer.fill(0, at, at + total);
    this.view.setUint32(at, type, true);
    this.view.setUint32(at + 4, total, true);
    fill(at + 8);
    this.view.setUint32(at + total - 4, total, true);
    this.used += total;
  }
  flush(): void {
    if (this.used === 0) return;
    // A full disk ends the recording, not the sandbox.
    if (!this.failed) this.failed = this.kernel.host.write(this.fd, this.buffer, 0, this.used) !== this.used;
    this.used = 0;
  }
}
