/** A descriptor of /dev/net/tun (tun(4)): each read gives a packet that leaves through the interface, each write one that comes in. */
import { EAGAIN, EBADFD, EFAULT, EINVAL, EIO, EMSGSIZE } from '../../../../abi/errno.ts';
import * as T from '../../../../abi/if_tun.ts';
import { POLLERR, POLLIN, POLLOUT, POLLRDNORM, POLLWRNORM } from '../../../../abi/poll.ts';
import { versionOf } from '../../../../netstack/frame_taps.ts';
import { ETH_HEADER, LONGEST, VNET_HEADER } from '../../../../netstack/link/ethernet.ts';
import { checkOffload } from '../../../../netstack/link/offload_header.ts';
import { type QueueBudget, TunnelQueue } from '../../../../netstack/link/tunnel_port.ts';
import { get16, put16 } from '../../../../netstack/packet.ts';
import type { Kernel } from '../../../kernel/kernel.ts';
import { releaseNetwork } from '../../../kernel/namespace_end.ts';
import type { Task } from '../../../kernel/task.ts';
import { WaitQueue } from '../../../kernel/wait.ts';
import { type FileDescription, FileImpl } from '../../../vfs/file.ts';
import type { Sink, Source } from '../../../vfs/io.ts';
import type { Network, Networks } from '../networks.ts';
import type { TunDevice, TunEnd } from './tun_device.ts';
import { tunIoctl } from './tun_ioctl.ts';

export class TunFile extends FileImpl implements TunEnd {
  override readonly queue = new WaitQueue();
  readonly packets: TunnelQueue;
  private readonly kernel: Kernel;
  readonly networks: Networks;
  /** Where it was opened: interfaces are made there. */
  readonly network: Network;
  tun: TunDevice | null = null;
  detached = false;
  /** TUNSETIFINDEX; 0: any. */
  wantedIndex = 0;

  constructor(kernel: Kernel, networks: Networks, network: Network, budget: QueueBudget) {
    super();
    this.kernel = kernel;
    network.namespace.handles++;
    this.networks = networks;
    this.network = network;
    this.packets = new TunnelQueue(budget, () => this.queue.notify(POLLIN | POLLRDNORM));
  }
  changed(): void {
    this.queue.notify(this.tun === null ? POLLERR : POLLOUT | POLLWRNORM);
  }

  override read(dst: Sink): number {
    const { tun } = this;
    if (tun === null) return EBADFD;
    if (dst.remaining === 0) return 0;
    const frame = this.packets.shift();
    return frame === null ? EAGAIN : give(tun, frame, dst);
  }
  override write(src: Source): number {
    const { tun } = this;
    if (tun === null) return EBADFD;
    const total = src.remaining;
    const n = this.receive(tun, src);
    return n < 0 ? n : total;
  }
  override pread(dst: Sink): number {
    return this.read(dst);
  }
  override pwrite(src: Source): number {
    return this.write(src);
  }

  private receive({ flags, device, vnetHeader, isTap }: TunDevice, src: Source): number {
    const plain = (flags & T.IFF_NO_PI) !== 0;
    const virtio = (flags & T.IFF_VNET_HDR) !== 0 ? vnetHeader : 0;
    const head = new Uint8Array((plain ? 0 : T.PI_SIZE) + virtio);
    const length = src.remaining - head.length;
    if (length < (isTap ? ETH_HEADER : 0)) return EINVAL;
    if (length > LONGEST + (isTap ? ETH_HEADER : 0)) return EMSGSIZE;
    const bytes = new Uint8Array(VNET_HEADER + length);
    if (take(src, head, 0) < 0 || take(src, bytes, VNET_HEADER) < 0) return EFAULT;
    if (virtio > 0) bytes.set(head.subarray(head.length - virtio, head.length - virtio + VNET_HEADER));
    let protocol = plain ? 0 : get16(head, 2);
    if (plain && !isTap) protocol = length === 0 ? 0 : versionOf(bytes, VNET_HEADER);
    const wrong = !checkOffload(bytes, isTap) || (plain && !isTap && protocol === 0);
    if (wrong || !device.up) {
      device.statistics.rx_dropped++;
      return wrong ? EINVAL : EIO;
    }
    device.take(bytes, protocol, this.packets);
    return 0;
  }

  override poll(): number {
    const { tun } = this;
    if (tun === null) return POLLERR;
    return (this.packets.length > 0 ? POLLIN | POLLRDNORM : 0) | (tun.device.up ? POLLOUT | POLLWRNORM : 0);
  }
  override ioctl(_file: FileDescription, task: Task, command: number, argument: number): number {
    return tunIoctl(this, task, command >>> 0, argument);
  }
  override describe(): string {
    return `iff:\t${this.tun?.device.name ?? ''}\n`;
  }
  override release(): void {
    this.tun?.leave(this);
    releaseNetwork(this.kernel, this.network.namespace);
  }
}

/** A packet with what the program wants before it. What does not fit is lost. */
function give({ flags, device, vnetHeader, isTap }: TunDevice, frame: Uint8Array, dst: Sink): number {
  const information = (flags & T.IFF_NO_PI) !== 0 ? 0 : T.PI_SIZE;
  const virtio = (flags & T.IFF_VNET_HDR) !== 0 ? vnetHeader : 0;
  const head = new Uint8Array(information + virtio);
  const room = dst.remaining;
  if (room < head.length) return EINVAL;
  const total = head.length + frame.length - VNET_HEADER;
  if (information > 0) {
    head[0] = room < total ? T.TUN_PKT_STRIP : 0;
    put16(head, 2, isTap ? get16(frame, VNET_HEADER + 12) : versionOf(frame, VNET_HEADER));
  }
  if (virtio > 0) head.set(frame.subarray(0, VNET_HEADER), information);
  device.statistics.tx_packets++;
  device.statistics.tx_bytes += frame.length - VNET_HEADER;
  const length = Math.min(total, room);
  if (head.length > 0 && dst.put(head) < head.length) return EFAULT;
  const n = length === head.length ? 0 : dst.put(frame, VNET_HEADER, VNET_HEADER + length - head.length);
  return n < length - head.length ? EFAULT : length;
}
function take(src: Source, into: Uint8Array, at: number): number {
  return at === into.length || src.take(into, at, into.length) === into.length - at ? 0 : EFAULT;
}
