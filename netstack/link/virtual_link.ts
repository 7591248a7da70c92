/** Interfaces without a host behind them: pairs (veth), between stacks or in one, and those that lead nowhere (dummy). */
import type { Stack } from '../stack.ts';
import { EthernetInterface } from './ethernet.ts';
import { followLink, identifierOf } from './link_local.ts';

/** Frames that wait to be taken at one end. */
const MAX_QUEUED = 4096;

/** Its addresses are the sandbox's own business. */
export abstract class VirtualInterface extends EthernetInterface {
  override setUp(up: boolean): void {
    if (this.up === up) return;
    super.setUp(up);
    this.linkChanged();
  }
  protected override linkChanged(): void {
    followLink(this.stack, this, () => identifierOf(this.hardware));
  }
}

export class DummyInterface extends VirtualInterface {
  readonly kind = 'dummy';
  override emit(frame: Uint8Array): void {
    this.statistics.tx_packets++;
    this.statistics.tx_bytes += frame.length;
  }
}

/**
 * One end of a pair. What is sent lies at the other end until this stack has done its work: neither stack ever runs inside of the other,
 * and however long an exchange goes on, it takes no deeper stack of calls.
 */
export class VethInterface extends VirtualInterface {
  readonly kind = 'veth';
  peer: VethInterface | null = null;
  private waiting: Uint8Array[] = [];
  private draining = false;

  override emit(frame: Uint8Array): void {
    const { peer } = this;
    if (peer === null || !peer.up || peer.waiting.length >= MAX_QUEUED) {
      this.statistics.tx_dropped++;
      return;
    }
    this.statistics.tx_packets++;
    this.statistics.tx_bytes += frame.length;
    peer.waiting.push(frame);
  }
  override flush(): void {
    const { peer } = this;
    if (peer === null || this.draining || peer.draining) return;
    this.draining = peer.draining = true;
    while (peer.waiting.length > 0 || this.waiting.length > 0) {
      peer.takeWaiting();
      this.takeWaiting();
    }
    this.draining = peer.draining = false;
  }
  private takeWaiting(): void {
    const frames = this.waiting;
    if (frames.length === 0) return;
    this.waiting = [];
    this.stack.batch(() => {
      for (const frame of frames) this.receive(frame, 0, frame.length);
    });
  }
  unplug(): void {
    if (this.peer !== null) this.peer.peer = null;
    this.peer = null;
    this.waiting = [];
  }
}

export function join(a: VethInterface, b: VethInterface): void {
  a.peer = b;
  b.peer = a;
}
/** An address of the kind that nobody was given (locally administered). */
export function randomHardware(stack: Stack): Uint8Array {
  const bytes = Uint8Array.from({ length: 6 }, () => stack.environment.random(256));
  bytes[0] = ((bytes[0] as number) & 0xfe) | 2;
  return bytes;
}
