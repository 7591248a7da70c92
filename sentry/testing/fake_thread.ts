/** A thread of a fake process: registers and floating-point state that tests can set and look at. */
import { type AddressSpace, Registers, type ThreadContext } from '../../platforms/platform.ts';
import type { FakeMemory } from './fake_memory.ts';

/** FXSAVE area, header, AVX: x87, SSE and AVX enabled. */
const XSTATE_SIZE = 832;

export class FakeThread implements ThreadContext {
  data: unknown = null;
  readonly space: AddressSpace;
  sysno = -1;
  readonly args = new Uint32Array(12);
  readonly state = new Registers();
  /** The floating-point state; null after it was set to the initial one. */
  image: Uint8Array | null = null;
  interrupts = 0;
  /** ns; cpuTime(). */
  used = 0;

  constructor(memory: FakeMemory) {
    this.space = memory as unknown as AddressSpace;
  }
  registers(): Registers {
    return this.state;
  }
  setRegisters(): void {}
  xstate(): Uint8Array {
    const image = this.image?.slice() ?? new Uint8Array(XSTATE_SIZE);
    new DataView(image.buffer).setBigUint64(464, 7n, true);
    return image;
  }
  /** As the host: refuses features beyond x87, SSE, AVX. */
  setXstate(image: Uint8Array | null): boolean {
    if (image !== null && (image.length !== XSTATE_SIZE || new DataView(image.buffer).getBigUint64(512, true) > 7n)) return false;
    this.image = image?.slice() ?? null;
    return true;
  }
  resumeWithResult(_result: number): void {}
  resume(): void {}
  resumeSingleStep(): void {}
  interrupt(): void {
    this.interrupts++;
  }
  cpuTime(): number {
    return this.used;
  }
  exit(): void {}
}
