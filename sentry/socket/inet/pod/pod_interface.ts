/** An interface of the pod, as the sandbox's stack sees it: Ethernet over a packet socket of the host. */
import { ETH_HEADER, EthernetInterface, VNET_HEADER } from '../../../../netstack/link/ethernet.ts';
import type { Stack } from '../../../../netstack/stack.ts';
import type { PacketPort } from './packet_port.ts';

const HEADERS = VNET_HEADER + ETH_HEADER;

export class PodInterface extends EthernetInterface {
  private readonly port: PacketPort;
  /** What passes, for who records it: a frame without the virtio-net header. */
  tap: ((bytes: Uint8Array, start: number, end: number) => void) | null = null;

  constructor(stack: Stack, port: PacketPort, link: { index: number; name: string; mtu: number; hardware: Uint8Array }) {
    super(stack, link.index, link.name, link.mtu, link.hardware);
    this.port = port;
  }
  override emit(frame: Uint8Array): void {
    this.statistics.tx_packets++;
    this.statistics.tx_bytes += frame.length - HEADERS;
    if (this.tap !== null) this.tap(frame, VNET_HEADER, frame.length);
    this.port.queue(frame);
  }
  override flush(): void {
    this.port.flush();
  }
  /** 0 or an errno. */
  start(): number {
    return this.port.start(
      this.index,
      (bytes, start, end) => {
        if (this.tap !== null) this.tap(bytes, start + VNET_HEADER, end);
        this.receive(bytes, start, end);
      },
      (work) => this.stack.batch(work),
    );
  }
  stop(): void {
    this.port.stop();
  }
}
