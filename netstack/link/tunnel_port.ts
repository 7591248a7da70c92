/**
 * Where packets that leave through a tunnel wait for the program at its other end (tun(4)): a queue for each of its descriptors. Which queue
 * a flow goes to, the program chooses by writing the flow's other direction there.
 */
import { IPPROTO_TCP, IPPROTO_UDP } from '../packet.ts';
import { NO_OFFLOAD, type Offload } from '../software_offload.ts';

/** Flows whose queue is known; the oldest goes. */
const MAX_FLOWS = 4096;
/** Bytes that a packet takes beside its own. */
const OVERHEAD = 256;

/** Bytes that may wait in all tunnels that share it. */
export class QueueBudget {
  left: number;
  constructor(bytes: number) {
    this.left = bytes;
  }
}

export class TunnelQueue {
  private readonly budget: QueueBudget;
  private readonly ready: () => void;
  private frames: Uint8Array[] = [];
  private head = 0;

  /** ready: there is something to read now. */
  constructor(budget: QueueBudget, ready: () => void) {
    this.budget = budget;
    this.ready = ready;
  }
  get length(): number {
    return this.frames.length - this.head;
  }
  /** A virtio-net header, and the packet or frame behind it. False: there is no room. */
  push(frame: Uint8Array, limit: number): boolean {
    if (this.length >= limit || this.budget.left < frame.length + OVERHEAD) return false;
    this.budget.left -= frame.length + OVERHEAD;
    this.frames.push(frame);
    if (this.length === 1) this.ready();
    return true;
  }
  /** The next one; null: there is none. */
  shift(): Uint8Array | null {
    const first = this.frames[this.head];
    if (first === undefined) return null;
    this.budget.left += first.length + OVERHEAD;
    this.head++;
    if (this.head === this.frames.length) {
      this.frames.length = 0;
      this.head = 0;
    } else if (this.head >= 1024) {
      this.frames = this.frames.slice(this.head);
      this.head = 0;
    }
    return first;
  }
  clear(): void {
    while (this.shift() !== null);
  }
}

export class TunnelPort {
  /** Of descriptors that are attached, in their order. */
  readonly queues: TunnelQueue[] = [];
  /** What the program does for us. */
  offload: Offload = NO_OFFLOAD;
  private readonly flows = new Map<number, TunnelQueue>();

  /** Whether the program wants it. `_frame`: with its virtio-net header. */
  accepts(_frame: Uint8Array): boolean {
    return true;
  }
  /** The interface has come up or gone down, or its carrier has. */
  linkChanged(): void {}

  /** `at`: where its IP header would begin. False: nobody takes it. */
  put(frame: Uint8Array, at: number, limit: number): boolean {
    const [only] = this.queues;
    if (only === undefined || !this.accepts(frame)) return false;
    return (this.queues.length === 1 ? only : this.choose(flowOf(frame, at), only)).push(frame, limit);
  }
  private choose(flow: number, first: TunnelQueue): TunnelQueue {
    return this.flows.get(flow) ?? this.queues[flow % this.queues.length] ?? first;
  }
  /** The program has written a packet of this flow there. */
  learn(queue: TunnelQueue, frame: Uint8Array, at: number): void {
    if (this.queues.length < 2 || !this.queues.includes(queue)) return;
    const flow = flowOf(frame, at);
    this.flows.delete(flow);
    if (this.flows.size >= MAX_FLOWS) this.flows.delete(this.flows.keys().next().value as number);
    this.flows.set(flow, queue);
  }
  withdraw(queue: TunnelQueue): void {
    const place = this.queues.indexOf(queue);
    if (place >= 0) this.queues.splice(place, 1);
    for (const [flow, there] of this.flows) if (there === queue) this.flows.delete(flow);
    queue.clear();
  }
}

/** The same number for both directions of a flow; 0 for what is not IP. */
function flowOf(bytes: Uint8Array, at: number): number {
  const version = (bytes[at] ?? 0) >>> 4;
  const addresses = version === 4 ? 12 : 8;
  const length = version === 4 ? 4 : 16;
  const end = at + (version === 4 ? ((bytes[at] as number) & 0xf) * 4 : 40);
  if ((version !== 4 && version !== 6) || bytes.length < end + 4) return 0;
  let sum = 0;
  for (let i = 0; i < length; i += 2) {
    sum += Math.imul(word(bytes, at + addresses + i), 31 + i) + Math.imul(word(bytes, at + addresses + length + i), 31 + i);
  }
  const protocol = bytes[at + (version === 4 ? 9 : 6)] as number;
  const whole = version === 6 || (word(bytes, at + 6) & 0x3fff) === 0;
  if (whole && (protocol === IPPROTO_TCP || protocol === IPPROTO_UDP)) sum += Math.imul(word(bytes, end) + word(bytes, end + 2), 1009);
  return (Math.imul(sum + protocol, 0x9e37_79b1) >>> 8) + 1;
}
function word(bytes: Uint8Array, at: number): number {
  return ((bytes[at] as number) << 8) | (bytes[at + 1] as number);
}
