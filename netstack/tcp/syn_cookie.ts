/**
 * SYN cookies (RFC 4987 §3.6): when too many connections are being made, the answer to a SYN holds everything that has to be known, and
 * nothing is kept. The sequence number holds the minute and the largest segment, sealed with a secret; the timestamp holds the options.
 */
import type { IpAddress } from '../address.ts';
import type { Environment } from '../environment.ts';
import { KeyedHash } from '../keyed_hash.ts';
import type { Segment } from './segment.ts';

/** ns; a cookie is good for this period and the one before. */
const PERIOD = 64e9;
const PERIODS = 8;
const SIZES4: readonly number[] = [536, 1300, 1440, 1460];
const SIZES6: readonly number[] = [1220, 1360, 1420, 1440];

/** What a cookie remembers. */
export interface Remembered {
  readonly mss: number;
  readonly windowScale: number;
  readonly sack: boolean;
  readonly ecn: boolean;
}

export class SynCookies {
  private readonly environment: Environment;
  private readonly hash: KeyedHash;
  constructor(environment: Environment) {
    this.environment = environment;
    const word = (): number => environment.random(0x1_0000_0000);
    this.hash = new KeyedHash(word(), word());
  }
  private get period(): number {
    return Math.floor(this.environment.now() / PERIOD);
  }
  private seal(s: Segment, seq: number, period: number, size: number): number {
    const { source, destination }: { source: IpAddress; destination: IpAddress } = s.packet;
    const name = source + destination + String.fromCharCode(s.sourcePort >>> 8, s.sourcePort & 0xff, s.destinationPort >>> 8);
    const low = String.fromCharCode(s.destinationPort & 0xff, period & 0xff, size);
    return this.hash.of(name + low, seq) & 0x07ff_ffff;
  }
  /** Our sequence number in answer to a SYN: 27 bits of seal, 3 of the period, 2 of the size. */
  make(s: Segment): number {
    const sizes = s.packet.version === 4 ? SIZES4 : SIZES6;
    let size = 0;
    while (size < 3 && (sizes[size + 1] as number) <= s.mss) size++;
    const period = this.period % PERIODS;
    return (this.seal(s, s.seq, period, size) * 32 + period * 4 + size) >>> 0;
  }
  /** The timestamp of the answer: options in the last six bits, the clock above. */
  stamp(s: Segment, clock: number, ecn: boolean): number {
    const scale = s.windowScale < 0 ? 0xf : s.windowScale;
    return ((clock & ~0x3f) | (scale & 0xf) | (s.sackPermitted ? 0x10 : 0) | (ecn ? 0x20 : 0)) >>> 0;
  }
  /** `s` acknowledges what may be a cookie; null: it is none, or too old. */
  check(s: Segment): Remembered | null {
    const cookie = (s.ack - 1) >>> 0;
    const size = cookie & 3;
    const period = (cookie >>> 2) % PERIODS;
    const age = (this.period - period + PERIODS) % PERIODS;
    if (age > 1) return null;
    const seq = (s.seq - 1) >>> 0;
    if (this.seal(s, seq, period, size) !== cookie >>> 5) return null;
    const mss = (s.packet.version === 4 ? SIZES4 : SIZES6)[size] as number;
    if (!s.hasTimestamps) return { mss, windowScale: -1, sack: false, ecn: false };
    const scale = s.echo & 0xf;
    return { mss, windowScale: scale === 0xf ? -1 : scale, sack: (s.echo & 0x10) !== 0, ecn: (s.echo & 0x20) !== 0 };
  }
}
