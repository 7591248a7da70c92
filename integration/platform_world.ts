/** A platform under test: its events one by one, and programs that it runs. */
import { PROT_EXEC, PROT_READ, PROT_WRITE } from '../abi/mman.ts';
import { host } from '../lib/host.ts';
import { type Platform, REG, type ThreadContext, type ThreadEvents } from '../platforms/platform.ts';
import { code } from './machine_code.ts';

export const CODE = 0x40_0000;
export const DATA = 0x50_0000;
export const STACK = 0x60_0000;
export const PAGE = 4096;
export const RWX = PROT_READ | PROT_WRITE | PROT_EXEC;
export const RW = PROT_READ | PROT_WRITE;

type Event =
  | { kind: 'syscall'; thread: ThreadContext; sysno: number; args: number[] }
  | { kind: 'fault'; thread: ThreadContext; signal: number; code: number; address: number }
  | { kind: 'interrupted'; thread: ThreadContext }
  | { kind: 'exited'; thread: ThreadContext; cause: string };

class Recorder implements ThreadEvents {
  readonly events: Event[] = [];
  /** Threads are compared by identity, and not printed: behind them is the whole platform. */
  private push(event: Event): void {
    Object.defineProperty(event, 'thread', { enumerable: false });
    this.events.push(event);
  }
  syscall(thread: ThreadContext): void {
    const args = [0, 1, 2, 3, 4, 5].map((i) => (thread.args[i * 2 + 1] as number) * 2 ** 32 + (thread.args[i * 2] as number));
    this.push({ kind: 'syscall', thread, sysno: thread.sysno, args });
  }
  fault(thread: ThreadContext, signal: number, code: number, address: number): void {
    this.push({ kind: 'fault', thread, signal, code, address });
  }
  interrupted(thread: ThreadContext): void {
    this.push({ kind: 'interrupted', thread });
  }
  exited(thread: ThreadContext, cause: string): void {
    this.push({ kind: 'exited', thread, cause });
  }
}

export class PlatformWorld {
  platform!: Platform;
  recorder!: Recorder;

  /** Makes the platform before the tests of the suite that this is called in, and shuts it down behind them. */
  constructor(create: () => Platform) {
    beforeAll(() => {
      this.platform = create();
    });
    afterAll(() => this.platform.shutdown());
    beforeEach(() => {
      this.recorder = new Recorder();
    });
  }

  /** The next event; fails after twenty seconds: the processor may be an emulated one. */
  next(): Event {
    const end = host.monotonicNow() + 20e9;
    while (this.recorder.events.length === 0) {
      if (host.monotonicNow() > end) throw new Error('no event');
      this.platform.wait(this.recorder, end);
    }
    return this.recorder.events.shift() as Event;
  }
  nextCall(): Event & { kind: 'syscall' } {
    const event = this.next();
    expect(event).toMatchObject({ kind: 'syscall' });
    return event as Event & { kind: 'syscall' };
  }
  expectStop(event: Event, thread: ThreadContext, shape: object): void {
    expect(event.thread === thread).toBe(true);
    expect(event).toMatchObject(shape);
  }
  space(program: Uint8Array): ThreadContext {
    const thread = this.platform.newAddressSpace();
    if (typeof thread === 'number') throw new Error(`newAddressSpace: ${thread}`);
    expect(thread.space.mapAnonymous(thread, CODE, PAGE, RWX)).toBe(0);
    expect(thread.space.mapAnonymous(thread, DATA, PAGE, RW)).toBe(0);
    expect(thread.space.mapAnonymous(thread, STACK - PAGE, PAGE, RW)).toBe(0);
    expect(thread.space.write(CODE, program, 0, program.length)).toBe(program.length);
    this.jump(thread, CODE);
    return thread;
  }
  jump(thread: ThreadContext, to: number): void {
    const regs = thread.registers();
    regs.set(REG.rip, to);
    regs.set(REG.rsp, STACK);
    thread.setRegisters();
  }
  start(...parts: number[][]): ThreadContext {
    const thread = this.space(code(...parts));
    thread.resume();
    return thread;
  }
}
