/** Raw endpoints (raw(7)): each gets a copy of every packet of its protocol, beside the protocol itself. */
import { type IpAddress, isAny } from './address.ts';
import type { IncomingPacket } from './packet.ts';

export interface RawReceiver {
  readonly version: 4 | 6;
  readonly protocol: number;
  /** isAny: all. */
  readonly local: IpAddress;
  readonly remote: IpAddress | null;
  take(packet: IncomingPacket): void;
}

export class RawEndpoints {
  private readonly receivers = new Set<RawReceiver>();
  add(receiver: RawReceiver): void {
    this.receivers.add(receiver);
  }
  remove(receiver: RawReceiver): void {
    this.receivers.delete(receiver);
  }
  wants(protocol: number): boolean {
    for (const receiver of this.receivers) if (receiver.protocol === protocol) return true;
    return false;
  }
  input(packet: IncomingPacket): void {
    if (this.receivers.size === 0) return;
    for (const receiver of this.receivers) {
      if (receiver.protocol !== packet.protocol || receiver.version !== packet.version) continue;
      if (!isAny(receiver.local) && receiver.local !== packet.destination) continue;
      if (receiver.remote !== null && receiver.remote !== packet.source) continue;
      receiver.take(packet);
    }
  }
}
