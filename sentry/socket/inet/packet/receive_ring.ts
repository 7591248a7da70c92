/**
 * PACKET_RX_RING, version 2 (packet(7)): frames in memory that the application maps. Each slot says whose it is; what lies in a slot
 * that the application holds is not looked at, and one that it has not given back loses the frame.
 */
import { EINVAL, ENOMEM, type Errno, isErrno } from '../../../../abi/errno.ts';
import {
  SockaddrLl,
  TP_STATUS_KERNEL,
  TP_STATUS_LOSING,
  TP_STATUS_USER,
  TPACKET_ALIGNMENT,
  Tpacket2Hdr,
  TpacketReq,
} from '../../../../abi/packet.ts';
import type { Host } from '../../../../lib/host.ts';

/** Largest ring. */
const MAX_BYTES = 64 << 20;
const PAGE = 4096;
/** Before the frame: tpacket2_hdr and sockaddr_ll, aligned. */
export const HEADER_LENGTH = Tpacket2Hdr.size + SockaddrLl.size;

export interface RingFrame {
  readonly bytes: Uint8Array;
  /** Of the frame, before it was cut. */
  readonly length: number;
  /** Bytes before the network header. */
  readonly linkHeader: number;
  readonly name: Uint8Array;
  /** Realtime, ns. */
  readonly time: number;
  readonly status: number;
}

export class ReceiveRing {
  readonly hostFd: number;
  readonly size: number;
  private readonly host: Host;
  private readonly frameSize: number;
  private readonly perBlock: number;
  private readonly blockSize: number;
  private readonly count: number;
  private readonly reserve: number;
  private next = 0;
  private readonly slot: Uint8Array;
  private readonly status = new Uint8Array(4);

  private constructor(host: Host, fd: number, request: ReturnType<typeof TpacketReq.decode>, reserve: number) {
    this.host = host;
    this.hostFd = fd;
    this.blockSize = request.tp_block_size;
    this.frameSize = request.tp_frame_size;
    this.perBlock = Math.floor(this.blockSize / this.frameSize);
    this.count = request.tp_frame_nr;
    this.size = this.blockSize * request.tp_block_nr;
    this.reserve = reserve;
    this.slot = new Uint8Array(this.frameSize);
  }
  /** EINVAL for a geometry that packet(7) does not allow. */
  static make(host: Host, value: Uint8Array, reserve: number): ReceiveRing | Errno {
    const request = TpacketReq.decode(value);
    const { tp_block_size: block, tp_block_nr: blocks, tp_frame_size: frame, tp_frame_nr: frames } = request;
    if (block === 0 || block % PAGE !== 0 || block * blocks > MAX_BYTES) return block * blocks > MAX_BYTES ? ENOMEM : EINVAL;
    if (frame < HEADER_LENGTH + reserve || frame % TPACKET_ALIGNMENT !== 0 || frame > block) return EINVAL;
    if (Math.floor(block / frame) * blocks !== frames) return EINVAL;
    const fd = host.memfdCreate('packet-ring', 0);
    if (isErrno(fd)) return ENOMEM;
    if (isErrno(host.ftruncate(fd, block * blocks))) {
      host.close(fd);
      return ENOMEM;
    }
    return new ReceiveRing(host, fd, request, reserve);
  }
  private offsetOf(index: number): number {
    return Math.floor(index / this.perBlock) * this.blockSize + (index % this.perBlock) * this.frameSize;
  }
  private statusAt(offset: number): number {
    this.host.pread(this.hostFd, this.status, 0, 4, offset);
    return (this.status[0] as number) | ((this.status[1] as number) << 8);
  }
  /** Does the application have something to read? */
  get readable(): boolean {
    const before = (this.next + this.count - 1) % this.count;
    return (this.statusAt(this.offsetOf(before)) & TP_STATUS_USER) !== 0;
  }
  /** False: the ring is full. */
  put(frame: RingFrame, losing: boolean): boolean {
    const offset = this.offsetOf(this.next);
    if (this.statusAt(offset) !== TP_STATUS_KERNEL) return false;
    // The network header is aligned, whatever the length of the one before it.
    const net = align(HEADER_LENGTH + Math.max(frame.linkHeader, 16)) + this.reserve;
    const mac = net - frame.linkHeader;
    const kept = Math.max(0, Math.min(frame.bytes.length, this.frameSize - mac));
    const { slot } = this;
    slot.fill(0, 0, mac);
    slot.set(frame.bytes.subarray(0, kept), mac);
    const sec = Math.floor(frame.time / 1e9);
    Tpacket2Hdr.write(new DataView(slot.buffer), 0, {
      tp_status: 0,
      tp_len: frame.length,
      tp_snaplen: kept,
      tp_mac: mac,
      tp_net: net,
      tp_sec: sec,
      tp_nsec: Math.floor(frame.time - sec * 1e9),
      tp_vlan_tci: 0,
      tp_vlan_tpid: 0,
    });
    slot.set(frame.name, Tpacket2Hdr.size);
    this.host.pwrite(this.hostFd, slot, 0, mac + kept, offset);
    // Last of all: now it is the application's.
    new DataView(this.status.buffer).setUint32(0, TP_STATUS_USER | frame.status | (losing ? TP_STATUS_LOSING : 0), true);
    this.host.pwrite(this.hostFd, this.status, 0, 4, offset);
    this.next = (this.next + 1) % this.count;
    return true;
  }
  close(): void {
    this.host.close(this.hostFd);
  }
}

function align(length: number): number {
  return Math.ceil(length / TPACKET_ALIGNMENT) * TPACKET_ALIGNMENT;
}
