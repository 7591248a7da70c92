/** AF_PACKET sockets (packet(7)): frames of the network's interfaces, with CAP_NET_RAW. */
import {
  EADDRNOTAVAIL,
  EAGAIN,
  EBUSY,
  EINVAL,
  EMSGSIZE,
  ENETDOWN,
  ENOBUFS,
  ENODEV,
  ENOENT,
  ENOPROTOOPT,
  ENXIO,
  EOPNOTSUPP,
  EPERM,
  type Errno,
  ESOCKTNOSUPPORT,
} from '../../../../abi/errno.ts';
import * as P from '../../../../abi/packet.ts';
import { POLLIN, POLLOUT, POLLRDNORM, POLLWRNORM } from '../../../../abi/poll.ts';
import {
  AF_PACKET,
  MSG_PEEK,
  MSG_TRUNC,
  SO_ATTACH_FILTER,
  SO_DETACH_FILTER,
  SOCK_DGRAM,
  SOCK_RAW,
  SOL_SOCKET,
} from '../../../../abi/socket.ts';
import { type FrameTap, PACKET_OUTGOING } from '../../../../netstack/frame_taps.ts';
import type { NetInterface } from '../../../../netstack/interface.ts';
import { type FilterInstruction, runFilter } from '../../../../netstack/packet_filter.ts';
import { CAP_NET_RAW } from '../../../kernel/credentials.ts';
import { releaseNetwork } from '../../../kernel/namespace_end.ts';
import type { Task } from '../../../kernel/task.ts';
import type { FileDescription, HostMapping } from '../../../vfs/file.ts';
import type { Sink } from '../../../vfs/io.ts';
import { hasNetCap } from '../../net_capability.ts';
import { type AskedOption, type IncomingMessage, type OutgoingMessage, Socket } from '../../socket.ts';
import { intBytes, intValue } from '../inet_socket.ts';
import type { Network } from '../networks.ts';
import { readFilter } from '../socket_filter.ts';
import { ReceiveRing } from './receive_ring.ts';

/** Longest header of a link. */
const ETH_HEADER = 14;
const COST = 256;
const NO_ADDRESS = new Uint8Array(0);
/** Groups and modes that one socket asks of interfaces. */
const MAX_MEMBERSHIPS = 32;
/** Frames are longer than this only when a link merges segments. */
const LONGEST = 65_536 + ETH_HEADER;
/** Options that are kept and told. */
const KEPT: readonly number[] = [
  ...[P.PACKET_AUXDATA, P.PACKET_ORIGDEV, P.PACKET_RESERVE, P.PACKET_LOSS, P.PACKET_TIMESTAMP, P.PACKET_COPY_THRESH],
  ...[P.PACKET_QDISC_BYPASS, P.PACKET_IGNORE_OUTGOING],
];

interface Frame {
  readonly bytes: Uint8Array;
  readonly name: Uint8Array;
  readonly length: number;
  /** Where its network header begins. */
  readonly network: number;
  readonly at: number;
}

export class PacketSocket extends Socket {
  private readonly network: Network;
  /** protocol: ETH_P_*, 0 sees nothing; device: index, 0 all of them. */
  private readonly tap: FrameTap & { protocol: number; device: number };
  private readonly frames: Frame[] = [];
  private cost = 0;
  private seen = 0;
  private drops = 0;
  private losing = false;
  private program: FilterInstruction[] | null = null;
  private ring: ReceiveRing | null = null;
  private ringVersion = P.TPACKET_V1;
  private readonly kept = new Map<number, number>();
  private readonly memberships: { readonly device: NetInterface; readonly kind: number }[] = [];

  /** protocol: as socket(2) has it, in network byte order. */
  constructor(task: Task, network: Network, type: number, protocol: number) {
    super(task.kernel, AF_PACKET, type, protocol);
    this.network = network;
    const frame: FrameTap['frame'] = (device, bytes, start, end, ethertype, kind) => this.take(device, bytes, start, end, ethertype, kind);
    this.tap = { protocol: swap16(protocol), device: 0, frame };
    network.stack.taps.add(this.tap);
    network.packetSockets.add(this);
    network.namespace.handles++;
  }
  get ethertype(): number {
    return this.tap.protocol;
  }
  get device(): number {
    return this.tap.device;
  }
  get queuedBytes(): number {
    return this.cost;
  }

  override bind(_task: Task, raw: Uint8Array): number {
    if (raw.length < P.SOCKADDR_LL_MIN) return EINVAL;
    const { sll_family, sll_protocol, sll_ifindex } = readName(raw);
    if (sll_family !== AF_PACKET) return EINVAL;
    if (sll_ifindex !== 0 && this.network.stack.device(sll_ifindex) === null) return ENODEV;
    if (sll_protocol !== 0) this.tap.protocol = sll_protocol;
    this.tap.device = sll_ifindex;
    return 0;
  }
  override name(): Uint8Array {
    const device = this.network.stack.device(this.device);
    return nameOf(device, this.ethertype, 0, device?.hardware ?? NO_ADDRESS);
  }
  override peerName(): Errno {
    return EOPNOTSUPP;
  }

  /** A frame that an interface has seen. */
  private take(device: NetInterface, bytes: Uint8Array, start: number, end: number, ethertype: number, kind: number): void {
    if (kind === PACKET_OUTGOING && (this.kept.get(P.PACKET_IGNORE_OUTGOING) ?? 0) !== 0) return;
    const network = start + device.linkHeader;
    const from = this.type === SOCK_RAW ? start : network;
    let limit = end - from;
    if (this.program !== null) {
      const packet = { bytes, start: from, end, link: start, network, protocol: ethertype, device: device.index, kind };
      limit = runFilter(this.program, packet);
      if (limit === 0) return;
    }
    this.seen++;
    const sender = device.linkHeader > 0 ? bytes.subarray(start + 6, start + 12) : NO_ADDRESS;
    const name = nameOf(device, ethertype, kind, sender);
    const kept = Math.min(limit, end - from);
    if (this.ring !== null) this.putInRing(this.ring, bytes.subarray(from, from + kept), name, end - from, kind, network - from);
    else
      this.queueFrame({
        bytes: bytes.slice(from, from + kept),
        name,
        length: end - from,
        network: network - from,
        at: this.kernel.realtime(),
      });
  }
  private queueFrame(frame: Frame): void {
    const cost = frame.bytes.length + COST;
    if (this.frames.length > 0 && this.cost + cost > this.options.receiveBuffer) {
      this.drops++;
      return;
    }
    this.frames.push(frame);
    this.cost += cost;
    this.queue.notify(POLLIN | POLLRDNORM);
  }
  private putInRing(ring: ReceiveRing, bytes: Uint8Array, name: Uint8Array, length: number, kind: number, linkHeader: number): void {
    const frame = {
      ...{ bytes, name, length, linkHeader, time: this.kernel.realtime() },
      status: kind === PACKET_OUTGOING ? P.TP_STATUS_CSUMNOTREADY : 0,
    };
    if (!ring.put(frame, this.losing)) {
      this.drops++;
      this.losing = true;
      return;
    }
    this.losing = false;
    this.queue.notify(POLLIN | POLLRDNORM);
  }

  override receive(_task: Task, dst: Sink, message: IncomingMessage): number {
    const frame = this.frames[0];
    if (frame === undefined) return EAGAIN;
    const { bytes } = frame;
    const n = bytes.length === 0 ? 0 : dst.put(bytes, 0, Math.min(bytes.length, dst.remaining));
    if (n < 0) return n;
    if (n < bytes.length) message.resultFlags |= MSG_TRUNC;
    message.name = frame.name;
    this.lastStamp = frame.at;
    if ((this.kept.get(P.PACKET_AUXDATA) ?? 0) !== 0) message.control = { others: [auxiliary(frame)] };
    if ((message.flags & MSG_PEEK) === 0) {
      this.frames.shift();
      this.cost -= bytes.length + COST;
    }
    return (message.flags & MSG_TRUNC) !== 0 ? frame.bytes.length : n;
  }
  override send(_task: Task, message: OutgoingMessage): number {
    const to = message.name === null ? null : message.name.length < P.SOCKADDR_LL_MIN ? null : readName(message.name);
    if (message.name !== null && to === null) return EINVAL;
    const index = to === null ? this.device : to.sll_ifindex;
    const device = this.network.stack.device(index);
    if (device === null) return ENXIO;
    const { linkHeader } = device;
    const header = this.type === SOCK_RAW ? 0 : linkHeader;
    const length = message.data.remaining;
    if (length > device.mtu + linkHeader - header || length > LONGEST) return EMSGSIZE;
    if (header === 0 && length < linkHeader) return EINVAL;
    const frame = new Uint8Array(header + length);
    const n = message.data.take(frame, header, frame.length);
    if (n < length) return n < 0 ? n : EINVAL;
    if (header > 0) {
      if (to !== null) frame.set(message.name?.subarray(12, 18) ?? [], 0);
      frame.set(device.hardware, 6);
      const protocol = to !== null && to.sll_protocol !== 0 ? to.sll_protocol : this.ethertype;
      frame[12] = protocol >>> 8;
      frame[13] = protocol & 0xff;
    }
    if (!device.up) return ENETDOWN;
    const r = device.sendFrame(frame);
    this.network.stack.deliver();
    return r === 0 ? length : r;
  }

  override poll(_file: FileDescription): number {
    const readable = this.ring !== null ? this.ring.readable : this.frames.length > 0;
    return (readable ? POLLIN | POLLRDNORM : 0) | POLLOUT | POLLWRNORM;
  }
  override inputQueued(): number {
    return this.frames[0]?.bytes.length ?? 0;
  }
  override mapping(_file: FileDescription, _shared: boolean, _prot: number): HostMapping | Errno {
    return this.ring === null ? EINVAL : { hostFd: this.ring.hostFd, offset: 0 };
  }

  override getOption(task: Task, level: number, option: number, asked?: AskedOption): Uint8Array | Errno {
    if (level !== P.SOL_PACKET) return ENOPROTOOPT;
    if (KEPT.includes(option)) return intBytes(this.kept.get(option) ?? 0);
    if (option === P.PACKET_STATISTICS) {
      const counts = new Uint8Array(Uint32Array.of(this.seen, this.drops).buffer);
      this.seen = this.drops = 0;
      return counts;
    }
    if (option === P.PACKET_VERSION) return intBytes(this.ringVersion);
    if (option !== P.PACKET_HDRLEN || asked === undefined) return ENOPROTOOPT;
    const version = task.readU32(asked.address); // the question is in the buffer for the answer
    if (version < 0) return version as Errno;
    return version === P.TPACKET_V2 ? intBytes(P.Tpacket2Hdr.size) : EINVAL;
  }
  override setOption(task: Task, level: number, option: number, value: Uint8Array): number {
    if (level === SOL_SOCKET) return this.setFilter(task, option, value);
    if (level !== P.SOL_PACKET) return ENOPROTOOPT;
    if (option === P.PACKET_ADD_MEMBERSHIP || option === P.PACKET_DROP_MEMBERSHIP) return this.changeMembership(option, value);
    if (option === P.PACKET_RX_RING) return this.makeRing(value);
    const n = value.length < 4 ? null : intValue(value);
    if (n === null) return EINVAL;
    if (KEPT.includes(option)) {
      if (option === P.PACKET_RESERVE && (n < 0 || n > 4096)) return EINVAL;
      this.kept.set(option, n);
      return 0;
    }
    if (option !== P.PACKET_VERSION) return ENOPROTOOPT;
    if (this.ring !== null) return EBUSY;
    if (n !== P.TPACKET_V2) return EINVAL;
    this.ringVersion = n;
    return 0;
  }
  private setFilter(task: Task, option: number, value: Uint8Array): number {
    if (option === SO_DETACH_FILTER) {
      if (this.program === null) return ENOENT;
      this.program = null;
      return 0;
    }
    if (option !== SO_ATTACH_FILTER) return ENOPROTOOPT;
    if (value.length < 16) return EINVAL;
    const program = readFilter(task, value);
    if (typeof program === 'number') return program;
    this.program = program;
    return 0;
  }
  private makeRing(value: Uint8Array): number {
    if (value.length < P.TpacketReq.size || this.ringVersion !== P.TPACKET_V2) return EINVAL;
    const { tp_block_nr, tp_frame_nr } = P.TpacketReq.decode(value);
    if (tp_block_nr === 0) {
      if (tp_frame_nr !== 0) return EINVAL;
      this.ring?.close();
      this.ring = null;
      return 0;
    }
    if (this.ring !== null) return EBUSY;
    const ring = ReceiveRing.make(this.kernel.host, value, this.kept.get(P.PACKET_RESERVE) ?? 0);
    if (typeof ring === 'number') return ring;
    this.ring = ring;
    return 0;
  }
  /** struct packet_mreq: index, kind, length, address. Groups of link addresses need nothing: every frame is seen. */
  private changeMembership(option: number, value: Uint8Array): number {
    if (value.length < 16) return EINVAL;
    const view = new DataView(value.buffer, value.byteOffset, value.length);
    const device = this.network.stack.device(view.getInt32(0, true));
    const kind = view.getUint16(4, true);
    if (device === null) return ENODEV;
    if (kind > P.PACKET_MR_UNICAST) return EINVAL;
    const at = this.memberships.findIndex((one) => one.device === device && one.kind === kind);
    if (option === P.PACKET_DROP_MEMBERSHIP) {
      if (at < 0) return EADDRNOTAVAIL;
      const [gone] = this.memberships.splice(at, 1) as [{ device: NetInterface; kind: number }];
      count(gone.device, kind, -1);
      return 0;
    }
    if (this.memberships.length >= MAX_MEMBERSHIPS) return ENOBUFS;
    this.memberships.push({ device, kind });
    count(device, kind, 1);
    return 0;
  }

  override release(): void {
    this.network.stack.taps.remove(this.tap);
    this.network.packetSockets.delete(this);
    for (const { device, kind } of this.memberships) count(device, kind, -1);
    this.frames.length = 0;
    this.ring?.close();
    this.ring = null;
    releaseNetwork(this.kernel, this.network.namespace);
  }
}

function count(device: NetInterface, kind: number, step: number): void {
  if (kind === P.PACKET_MR_PROMISC) device.promiscuous += step;
  if (kind === P.PACKET_MR_ALLMULTI) device.allMulticast += step;
}
function swap16(value: number): number {
  return ((value & 0xff) << 8) | ((value >>> 8) & 0xff);
}
function readName(raw: Uint8Array): ReturnType<typeof P.SockaddrLl.decode> {
  const whole = new Uint8Array(P.SockaddrLl.size);
  whole.set(raw.subarray(0, whole.length));
  return P.SockaddrLl.decode(whole);
}
function nameOf(device: NetInterface | null, protocol: number, kind: number, hardware: Uint8Array): Uint8Array {
  const name = P.SockaddrLl.encode({
    sll_family: AF_PACKET,
    sll_protocol: protocol,
    sll_ifindex: device?.index ?? 0,
    sll_hatype: device?.hardwareType ?? 0,
    sll_pkttype: kind,
    sll_halen: hardware.length,
    sll_addr_high: 0,
    sll_addr_low: 0,
  });
  name.set(hardware.subarray(0, 8), 12);
  return name;
}
function auxiliary(frame: Frame): { level: number; type: number; data: Uint8Array } {
  const data = P.TpacketAuxdata.encode({
    ...{ tp_status: P.TP_STATUS_USER, tp_len: frame.length, tp_snaplen: frame.bytes.length },
    ...{ tp_mac: 0, tp_net: frame.network, tp_vlan_tci: 0, tp_vlan_tpid: 0 },
  });
  return { level: P.SOL_PACKET, type: P.PACKET_AUXDATA, data };
}

/** socket(2) of AF_PACKET. */
export function makePacketSocket(task: Task, network: Network, type: number, protocol: number): PacketSocket | Errno {
  if (!hasNetCap(task, CAP_NET_RAW)) return EPERM;
  if (type !== SOCK_RAW && type !== SOCK_DGRAM) return ESOCKTNOSUPPORT;
  return new PacketSocket(task, network, type, protocol);
}
