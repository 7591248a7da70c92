/** Two stacks whose Ethernet interfaces share one wire, on virtual time. For tests. */
import { broadcastOf, type IpAddress } from '../address.ts';
import type { Environment } from '../environment.ts';
import { EthernetInterface } from '../link/ethernet.ts';
import { Stack } from '../stack.ts';

class Station extends EthernetInterface {
  wire: (frame: Uint8Array) => void = () => {};
  override emit(frame: Uint8Array): void {
    this.wire(frame.slice());
  }
}

interface Event {
  readonly at: number;
  readonly run: () => void;
}

export class EtherWorld {
  time = 1e9;
  readonly a: Station;
  readonly b: Station;
  /** Every frame, virtio-net header included. */
  readonly frames: Uint8Array[] = [];
  cut = false;
  private events: Event[] = [];

  constructor() {
    let seed = 1;
    const environment: Environment = {
      now: () => this.time,
      startTimer: (at, run) => {
        const event = { at, run };
        this.events.push(event);
        return () => {
          this.events = this.events.filter((e) => e !== event);
        };
      },
      random: (limit) => {
        seed = (seed * 16807) % 2147483647;
        return seed % limit;
      },
    };
    this.a = new Station(new Stack(environment), 2, 'eth0', 1500, Uint8Array.of(2, 0, 0, 0, 0, 1));
    this.b = new Station(new Stack(environment), 2, 'eth0', 1500, Uint8Array.of(2, 0, 0, 0, 0, 2));
    for (const [from, to] of [
      [this.a, this.b],
      [this.b, this.a],
    ] as const) {
      from.stack.addInterface(from);
      from.wire = (frame) => {
        this.frames.push(frame);
        if (!this.cut) this.events.push({ at: this.time + 1e5, run: () => to.receive(frame, 0, frame.length) });
      };
    }
  }
  assign(station: Station, address: IpAddress, prefixLength: number): void {
    station.addAddress({ address, prefixLength, broadcast: address.length === 4 ? broadcastOf(address, prefixLength) : null });
    const destination = address.slice(0, prefixLength >> 3).padEnd(address.length, '\0');
    station.stack.routes.add({ destination, prefixLength, gateway: null, source: null, device: station, metric: 0 });
  }
  /** Virtual seconds. */
  run(seconds: number): void {
    const end = this.time + seconds * 1e9;
    for (;;) {
      this.a.stack.deliver();
      this.b.stack.deliver();
      this.events.sort((x, y) => x.at - y.at);
      const next = this.events[0];
      if (next === undefined || next.at > end) break;
      this.events.shift();
      this.time = Math.max(this.time, next.at);
      next.run();
    }
    this.time = end;
  }
  /** Puts a frame on the wire as if a third station had sent it. */
  inject(to: Station, frame: readonly number[]): void {
    const bytes = Uint8Array.of(...new Array<number>(10).fill(0), ...frame);
    to.receive(bytes, 0, bytes.length);
  }
}
