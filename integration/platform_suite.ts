/** What every platform must do, as tests over hand-assembled code. Needs root (or a user namespace with ptrace). */
import { PROT_EXEC, PROT_NONE, PROT_READ, PROT_WRITE } from '../abi/mman.ts';
import { SIGFPE, SIGILL, SIGSEGV, SIGTRAP } from '../abi/signal.ts';
import { host } from '../lib/host.ts';
import { type Platform, REG, type ThreadContext, type ThreadEvents } from '../platforms/platform.ts';
import {
  CALL_RAX,
  call,
  code,
  DIVIDE_BY_ZERO,
  INT3,
  INT80,
  LOOP_FOREVER,
  mov,
  NOP,
  RDI_FROM_XMM3,
  SPIN_ECX,
  SYSCALL,
  UD2,
  XMM3_FROM_RAX,
} from './machine_code.ts';

const CODE = 0x40_0000;
const DATA = 0x50_0000;
const STACK = 0x60_0000;
const PAGE = 4096;
const CLOCK_GETTIME = 228;
const RWX = PROT_READ | PROT_WRITE | PROT_EXEC;
const RW = PROT_READ | PROT_WRITE;

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

/** hostProcesses: applications are processes of the host, which it can kill. */
export function platformSuite(create: () => Platform, hostProcesses = true): void {
  let platform: Platform;
  let recorder: Recorder;
  beforeAll(() => {
    platform = create();
  });
  afterAll(() => platform.shutdown());
  beforeEach(() => {
    recorder = new Recorder();
  });

  /** The next event; fails after twenty seconds: the processor may be an emulated one. */
  function next(): Event {
    const end = host.monotonicNow() + 20e9;
    while (recorder.events.length === 0) {
      if (host.monotonicNow() > end) throw new Error('no event');
      platform.wait(recorder, end);
    }
    return recorder.events.shift() as Event;
  }
  function nextCall(): Event & { kind: 'syscall' } {
    const event = next();
    expect(event).toMatchObject({ kind: 'syscall' });
    return event as Event & { kind: 'syscall' };
  }
  function expectStop(event: Event, thread: ThreadContext, shape: object): void {
    expect(event.thread === thread).toBe(true);
    expect(event).toMatchObject(shape);
  }
  function space(program: Uint8Array): ThreadContext {
    const thread = platform.newAddressSpace();
    if (typeof thread === 'number') throw new Error(`newAddressSpace: ${thread}`);
    expect(thread.space.mapAnonymous(thread, CODE, PAGE, RWX)).toBe(0);
    expect(thread.space.mapAnonymous(thread, DATA, PAGE, RW)).toBe(0);
    expect(thread.space.mapAnonymous(thread, STACK - PAGE, PAGE, RW)).toBe(0);
    expect(thread.space.write(CODE, program, 0, program.length)).toBe(program.length);
    jump(thread, CODE);
    return thread;
  }
  function jump(thread: ThreadContext, to: number): void {
    const regs = thread.registers();
    regs.set(REG.rip, to);
    regs.set(REG.rsp, STACK);
    thread.setRegisters();
  }
  function start(...parts: number[][]): ThreadContext {
    const thread = space(code(...parts));
    thread.resume();
    return thread;
  }

  test('a system call comes out with its arguments, its result goes in', () => {
    const big = 0x1234_5678_9abc;
    const args = [...mov.edi(1), ...mov.esi(2), ...mov.edx(3), ...mov.r10(big), ...mov.r8(5), ...mov.r9(6)];
    const thread = start(args, mov.eax(39), SYSCALL, mov.rdiFromRax, mov.eax(60), SYSCALL);
    const first = nextCall();
    expect(first).toMatchObject({ sysno: 39, args: [1, 2, 3, big, 5, 6] });
    expect(first.thread === thread).toBe(true);
    expect(thread.registers().get(REG.rax)).toBe(39);
    thread.resumeWithResult(-11);
    expect(nextCall()).toMatchObject({ sysno: 60, args: [2 ** 64 - 11, 2, 3, big, 5, 6] });
    thread.resumeWithResult(big);
    next();
    thread.space.release();
  });

  test('results of 64 bits arrive whole', () => {
    const thread = start(mov.eax(1), SYSCALL, mov.rdiFromRax, mov.eax(2), SYSCALL);
    nextCall();
    thread.resumeWithResult(0x7fff_1234_5678);
    expect(nextCall().args[0]).toBe(0x7fff_1234_5678);
    thread.space.release();
  });

  test('registers can be read and changed at a call; a call can be restarted', () => {
    const thread = start(mov.eax(7), SYSCALL, mov.rdiFromAtRbx, mov.eax(8), SYSCALL);
    nextCall();
    thread.space.write(DATA, new Uint8Array([42, 0, 0, 0, 0, 0, 0, 0]), 0, 8);
    const regs = thread.registers();
    expect(regs.get(REG.rip)).toBe(CODE + 7);
    regs.set(REG.rip, CODE + 5);
    regs.set(REG.rbx, DATA);
    regs.set(REG.fs_base, DATA);
    thread.setRegisters();
    thread.resume();
    expect(nextCall()).toMatchObject({ sysno: 7 });
    expect(thread.registers().get(REG.fs_base)).toBe(DATA);
    thread.resumeWithResult(0);
    expect(nextCall()).toMatchObject({ sysno: 8, args: [42, 0, 0, 0, 0, 0] });
    thread.space.release();
  });

  test('resume at a call leaves its number in rax', () => {
    const thread = start(mov.eax(7), SYSCALL, mov.rdiFromRax, mov.eax(8), SYSCALL);
    nextCall();
    thread.resume();
    expect(nextCall().args[0]).toBe(7);
    thread.space.release();
  });

  test('memory operations at a call leave the registers alone', () => {
    const thread = start(mov.eax(7), SYSCALL, mov.rbx(DATA + PAGE), mov.atRbxFromRax, mov.rdiFromAtRbx, mov.eax(8), SYSCALL);
    nextCall();
    expect(thread.space.mapAnonymous(thread, DATA + PAGE, PAGE, RW)).toBe(0);
    thread.resumeWithResult(99);
    expect(nextCall()).toMatchObject({ sysno: 8, args: [99, 0, 0, 0, 0, 0] });
    expect(thread.space.unmap(thread, DATA + PAGE, PAGE)).toBe(0);
    expect(thread.space.read(DATA + PAGE, new Uint8Array(8), 0, 8)).toBe(-14);
    thread.space.release();
  });

  test('protect, move and advise', () => {
    const thread = start(call(7));
    nextCall();
    const { space } = thread;
    const byte = new Uint8Array([77]);
    space.write(DATA, byte, 0, 1);
    expect(space.protect(thread, DATA, PAGE, PROT_READ)).toBe(0);
    expect(space.write(DATA, byte, 0, 1)).toBe(-14);
    expect(space.writeForced(DATA + 1, byte, 0, 1)).toBe(1);
    expect(space.move(thread, DATA, PAGE, DATA + 16 * PAGE, 2 * PAGE, false)).toBe(0);
    const back = new Uint8Array(3);
    expect(space.read(DATA + 16 * PAGE, back, 0, 3)).toBe(3);
    expect([...back]).toEqual([77, 77, 0]);
    expect(space.protect(thread, DATA + 16 * PAGE, PAGE, PROT_NONE)).toBe(0);
    expect(space.read(DATA + 16 * PAGE, back, 0, 3)).toBe(-14);
    expect(space.readForced(DATA + 16 * PAGE, back, 0, 2)).toBe(2);
    expect(space.protect(thread, DATA + 16 * PAGE, PAGE, RW)).toBe(0);
    expect(space.advise(thread, DATA + 16 * PAGE, PAGE, 4 /* MADV_DONTNEED */)).toBe(0);
    expect(space.read(DATA + 16 * PAGE, back, 0, 3)).toBe(3);
    expect([...back]).toEqual([0, 0, 0]);
    space.release();
  });

  test('a bit is set', () => {
    const thread = start(call(7));
    nextCall();
    const word = new Uint8Array([1, 2, 3, 4]);
    thread.space.write(DATA, word, 0, 4);
    expect(thread.space.setBit?.(thread, DATA, 31)).toBe(0);
    thread.space.read(DATA, word, 0, 4);
    expect([...word]).toEqual([1, 2, 3, 0x84]);
    expect(thread.space.setBit?.(thread, 0x7000_0000, 31)).toBe(-14);
    thread.space.release();
  });

  test('a read stops at the first hole', () => {
    const thread = start(call(7));
    nextCall();
    expect(thread.space.read(DATA + PAGE - 10, new Uint8Array(100), 0, 100)).toBe(10);
    thread.space.release();
  });

  test('nothing outside the range can be mapped or unmapped', () => {
    const thread = start(call(7));
    nextCall();
    const { space } = thread;
    for (const address of [platform.maxAddress, platform.maxAddress - PAGE, 0, 0x7fff_ffff_f000, 2 ** 52, -PAGE]) {
      expect(space.unmap(thread, address, 2 * PAGE)).toBe(-22);
      expect(space.mapAnonymous(thread, address, 2 * PAGE, RW)).toBe(-22);
      expect(space.protect(thread, address, 2 * PAGE, RW)).toBe(-22);
      expect(space.advise(thread, address, 2 * PAGE, 4)).toBe(-22);
      expect(space.move(thread, DATA, PAGE, address, 2 * PAGE, false)).toBe(-22);
    }
    space.release();
  });

  test('file mappings: private does not reach the file, shared does', () => {
    const fd = host.memfdCreate('mapped', 1);
    host.ftruncate(fd, 2 * PAGE);
    host.pwrite(fd, new Uint8Array([5]), 0, 1, PAGE);
    const thread = start(mov.eax(7), SYSCALL, mov.rbx(DATA + PAGE), mov.atRbxFromRax, mov.eax(8), SYSCALL);
    nextCall();
    const { space } = thread;
    expect(space.mapFile(thread, DATA + PAGE, PAGE, RW, true, fd, PAGE)).toBe(0);
    expect(space.mapFile(thread, DATA + 2 * PAGE, PAGE, RW, false, fd, PAGE)).toBe(0);
    thread.resumeWithResult(66);
    nextCall();
    const byte = new Uint8Array(1);
    host.pread(fd, byte, 0, 1, PAGE);
    expect(byte[0]).toBe(66);
    space.write(DATA + 2 * PAGE, new Uint8Array([9]), 0, 1);
    host.pread(fd, byte, 0, 1, PAGE);
    expect(byte[0]).toBe(66);
    expect(space.mapFile(thread, DATA + 3 * PAGE, PAGE, RW, true, 9999, 0)).toBe(-9);
    space.release();
    host.close(fd);
  });

  test('a mapping needs no more than the descriptor gives', () => {
    const rw = host.memfdCreate('mapped', 1);
    host.ftruncate(rw, PAGE);
    const fd = host.openat(-100, `/proc/self/fd/${rw}`, 0);
    const thread = start(call(7));
    nextCall();
    expect(thread.space.mapFile(thread, DATA + PAGE, PAGE, RW, true, fd, 0)).toBe(-13);
    expect(thread.space.mapFile(thread, DATA + PAGE, PAGE, RW, false, fd, 0)).toBe(0);
    thread.space.release();
    host.close(fd);
    host.close(rw);
  });

  test('fork copies on write', () => {
    const parent = start(mov.eax(7), SYSCALL, mov.rdiFromAtRbx, mov.eax(8), SYSCALL);
    nextCall();
    parent.space.write(DATA, new Uint8Array([1]), 0, 1);
    const child = parent.space.fork(parent) as ThreadContext;
    expect(typeof child).toBe('object');
    expect(child.space === parent.space).toBe(false);
    expect(child.sysno).toBe(7);
    child.space.write(DATA, new Uint8Array([2]), 0, 1);
    for (const [thread, value] of [
      [parent, 1],
      [child, 2],
    ] as const) {
      thread.registers().set(REG.rbx, DATA);
      thread.setRegisters();
      thread.resume();
      const event = nextCall();
      expect(event.thread === thread).toBe(true);
      expect(event).toMatchObject({ sysno: 8, args: [value, 0, 0, 0, 0, 0] });
    }
    parent.space.release();
    child.resumeWithResult(0);
    expectStop(next(), child, { kind: 'fault' });
    child.space.release();
  });

  test('threads share memory and stop one by one', () => {
    const first = start(mov.eax(7), SYSCALL, mov.rbx(DATA), mov.atRbxFromRax, mov.rdiFromAtRbx, mov.eax(8), SYSCALL);
    nextCall();
    const second = first.space.newThread(first) as ThreadContext;
    expect(second.space === first.space).toBe(true);
    second.resumeWithResult(3);
    expectStop(nextCall(), second, { sysno: 8, args: [3, 0, 0, 0, 0, 0] });
    const seen = new Uint8Array(1);
    first.space.read(DATA, seen, 0, 1);
    expect(seen[0]).toBe(3);
    second.exit();
    first.resumeWithResult(4);
    expectStop(nextCall(), first, { args: [4, 0, 0, 0, 0, 0] });
    first.space.release();
  });

  test('what one thread unmaps does not hit what another maps there', () => {
    const first = start(call(7), call(8));
    nextCall();
    const second = first.space.newThread(first) as ThreadContext;
    const { space } = first;
    space.mapAnonymous(first, DATA + PAGE, PAGE, RW);
    expect(space.unmap(first, DATA + PAGE, PAGE)).toBe(0);
    expect(space.mapAnonymous(second, DATA + PAGE, PAGE, RW)).toBe(0);
    second.resumeWithResult(0);
    expectStop(nextCall(), second, { sysno: 8 });
    first.resumeWithResult(0);
    expectStop(nextCall(), first, { sysno: 8 });
    expect(space.write(DATA + PAGE, new Uint8Array([1]), 0, 1)).toBe(1);
    space.release();
  });

  test('the first thread may end before the others', () => {
    const first = start(mov.eax(7), SYSCALL, mov.rbx(DATA), mov.atRbxFromRax, mov.eax(8), SYSCALL, LOOP_FOREVER);
    nextCall();
    const second = first.space.newThread(first) as ThreadContext;
    first.exit();
    second.resumeWithResult(3);
    expectStop(nextCall(), second, { sysno: 8 });
    expect(second.space.read(DATA, new Uint8Array(8), 0, 8)).toBe(8);
    expect(second.space.mapAnonymous(second, DATA + PAGE, PAGE, RW)).toBe(0);
    expect(second.space.resident().total).toBeGreaterThan(0);
    const third = second.space.newThread(second) as ThreadContext;
    third.resumeWithResult(0);
    third.exit(); // running
    second.resumeWithResult(0);
    second.interrupt();
    expectStop(next(), second, { kind: 'interrupted' });
    second.space.release();
  });

  test('faults: address, code and signal', () => {
    const bad = 0x1_2345_6000;
    const thread = start(mov.rbx(bad), mov.rdiFromAtRbx, mov.eax(8), SYSCALL);
    expect(next()).toMatchObject({ kind: 'fault', signal: SIGSEGV, code: 1, address: bad });
    expect(thread.registers().get(REG.rip)).toBe(CODE + 10);
    expect(thread.space.mapAnonymous(thread, bad, PAGE, PROT_READ)).toBe(0);
    thread.resume();
    expect(nextCall()).toMatchObject({ sysno: 8 });
    thread.space.release();
  });

  test('other faults of an instruction', () => {
    for (const [bytes, signal] of [
      [UD2, SIGILL],
      [DIVIDE_BY_ZERO, SIGFPE],
      [INT3, SIGTRAP],
    ] as const) {
      const thread = start([...bytes]);
      expectStop(next(), thread, { kind: 'fault', signal });
      thread.space.release();
    }
  });

  test('a write to a read-only page says so', () => {
    const thread = space(code(mov.rbx(DATA), mov.atRbxFromRax));
    thread.space.protect(thread, DATA, PAGE, PROT_READ);
    thread.resume();
    expect(next()).toMatchObject({ kind: 'fault', signal: SIGSEGV, code: 2, address: DATA });
    thread.space.release();
  });

  test('interrupt stops a runaway loop', () => {
    const thread = start(LOOP_FOREVER);
    for (let i = 0; i < 3; i++) {
      thread.interrupt();
      expectStop(next(), thread, { kind: 'interrupted' });
      expect(thread.registers().get(REG.rip)).toBe(CODE);
      thread.resume();
    }
    thread.space.release();
  });

  test('an interrupt that comes too late leaves no trace', () => {
    const thread = start(call(7), call(8), LOOP_FOREVER);
    for (let spin = 0; spin < 20_000; spin++) host.monotonicNow(); // by now it has stopped, unreported
    thread.interrupt();
    const first = next();
    if (first.kind === 'interrupted') {
      thread.resume();
      nextCall();
    } else {
      expect(first).toMatchObject({ kind: 'syscall', sysno: 7 });
    }
    expect(thread.space.mapAnonymous(thread, DATA + PAGE, PAGE, RW)).toBe(0);
    thread.resumeWithResult(0);
    expect(nextCall()).toMatchObject({ sysno: 8 });
    thread.interrupt(); // stopped: no effect
    thread.resumeWithResult(0);
    thread.interrupt();
    expect(next()).toMatchObject({ kind: 'interrupted' });
    thread.space.release();
  });

  test('the extended state survives calls, can be copied and reset', () => {
    const value = 0x1122_3344_5566;
    const thread = start(mov.rax(value), XMM3_FROM_RAX, call(7), RDI_FROM_XMM3, mov.eax(8), SYSCALL, RDI_FROM_XMM3, mov.eax(9), SYSCALL);
    nextCall();
    const image = thread.xstate();
    expect(image.length).toBeGreaterThanOrEqual(576);
    expect(new DataView(image.buffer).getBigUint64(160 + 3 * 16, true)).toBe(BigInt(value));
    thread.resumeWithResult(0);
    expect(nextCall().args[0]).toBe(value);
    expect(thread.setXstate(null)).toBe(true);
    thread.resumeWithResult(0);
    expect(nextCall().args[0]).toBe(0);
    expect(thread.setXstate(image)).toBe(true);
    jump(thread, CODE + 10 + 5 + 17);
    thread.resume();
    expect(nextCall()).toMatchObject({ sysno: 8, args: [value, 0, 0, 0, 0, 0] });
    expect(thread.setXstate(new Uint8Array(64))).toBe(false);
    const broken = image.slice();
    broken.fill(0xff, 512, 576);
    expect(thread.setXstate(broken)).toBe(false);
    thread.space.release();
  });

  test('single step', () => {
    const thread = start(call(7), NOP, NOP, call(8));
    nextCall();
    thread.registers().set(REG.rax, 0);
    thread.setRegisters();
    for (let i = 1; i <= 2; i++) {
      thread.resumeSingleStep();
      expect(next()).toMatchObject({ kind: 'fault', signal: SIGTRAP, code: 2 });
      expect(thread.registers().get(REG.rip)).toBe(CODE + 17 + i);
    }
    thread.resume();
    expect(nextCall()).toMatchObject({ sysno: 8 });
    thread.space.release();
  });

  test('int 0x80 is no system call', () => {
    const thread = start(mov.eax(20), INT80, mov.eax(8), SYSCALL);
    expect(nextCall()).toMatchObject({ sysno: -1 });
    thread.resumeWithResult(-38);
    expect(nextCall()).toMatchObject({ sysno: 8 });
    thread.space.release();
  });

  test('the host vDSO works', () => {
    const thread = start(call(7));
    nextCall();
    const base = thread.space.vdsoBase;
    expect(base).toBeGreaterThan(0);
    const elf = new Uint8Array(4096);
    expect(thread.space.read(base, elf, 0, 4096)).toBe(4096);
    expect([...elf.subarray(0, 4)]).toEqual([0x7f, 0x45, 0x4c, 0x46]);
    const clockGettime = base + vdsoSymbol(thread, base, '__vdso_clock_gettime');
    const program = code(mov.edi(1), mov.esi(DATA), mov.rax(clockGettime), CALL_RAX, mov.rdiFromRax, mov.eax(8), SYSCALL);
    thread.space.write(CODE, program, 0, program.length);
    jump(thread, CODE);
    thread.resume();
    const before = host.monotonicNow();
    const after = nextCall();
    if (after.sysno === CLOCK_GETTIME) return; // the host has a clock that only its kernel can read
    expect(after.args[0]).toBe(0);
    const timespec = new Uint8Array(16);
    thread.space.read(DATA, timespec, 0, 16);
    const view = new DataView(timespec.buffer);
    const seen = Number(view.getBigInt64(0, true)) * 1e9 + Number(view.getBigInt64(8, true));
    expect(Math.abs(seen - before)).toBeLessThan(1e9);
    thread.space.release();
  });

  (hostProcesses ? test : test.skip)('a process killed from outside is reported once', () => {
    const before = childPids();
    const thread = start(LOOP_FOREVER);
    const [pid] = childPids().filter((p) => !before.includes(p));
    expect(pid).toBeGreaterThan(1);
    host.kill(pid as number, 9);
    expectStop(next(), thread, { kind: 'exited' });
    thread.space.release();
    platform.wait(recorder, 0);
    expect(recorder.events).toEqual([]);
  });

  test('cpuTime grows', () => {
    const thread = start(mov.ecx(20_000_000), SPIN_ECX, call(7));
    nextCall();
    expect(thread.cpuTime()).toBeGreaterThan(1e6);
    thread.space.release();
  });

  test('a thousand spaces in turn leave nothing behind', () => {
    const fds = openDescriptors();
    const program = code(call(7));
    for (let i = 0; i < 1000; i++) {
      const thread = platform.newAddressSpace() as ThreadContext;
      expect(typeof thread).toBe('object');
      thread.space.mapAnonymous(thread, CODE, PAGE, RWX);
      thread.space.write(CODE, program, 0, program.length);
      jump(thread, CODE);
      thread.resume();
      expect(nextCall().thread === thread).toBe(true);
      thread.space.release();
    }
    for (let i = 0; i < 20; i++) platform.wait(recorder, host.monotonicNow() + 1e6);
    expect(openDescriptors()).toBeLessThanOrEqual(fds);
    expect(childPids().length).toBeLessThan(20);
  }, 30_000);

  test('wait returns at its deadline', () => {
    const before = host.monotonicNow();
    platform.wait(recorder, before + 3e6);
    expect(host.monotonicNow() - before).toBeGreaterThanOrEqual(3e6);
  });
}

function openDescriptors(): number {
  return (require('node:fs') as typeof import('node:fs')).readdirSync('/proc/self/fd').length;
}
/** Children of this thread, zombies included. */
function childPids(): number[] {
  const text = (require('node:fs') as typeof import('node:fs')).readFileSync(`/proc/self/task/${process.pid}/children`, 'latin1');
  return text.trim().split(' ').filter(Boolean).map(Number);
}

/** Value of a dynamic symbol of the vDSO, from the one page that holds its tables (elf(5)). */
function vdsoSymbol(thread: ThreadContext, base: number, name: string): number {
  const bytes = new Uint8Array(8192);
  thread.space.read(base, bytes, 0, bytes.length);
  const view = new DataView(bytes.buffer);
  const u64 = (at: number): number => Number(view.getBigUint64(at, true));
  let dynamic = 0;
  for (let i = 0; i < view.getUint16(56, true); i++) {
    const header = u64(32) + i * 56;
    if (view.getUint32(header, true) === 2 /* PT_DYNAMIC */) dynamic = u64(header + 8);
  }
  let strings = 0;
  let symbols = 0;
  for (let at = dynamic; u64(at) !== 0; at += 16) {
    if (u64(at) === 5 /* DT_STRTAB */) strings = u64(at + 8);
    if (u64(at) === 6 /* DT_SYMTAB */) symbols = u64(at + 8);
  }
  for (let at = symbols; at < symbols + 24 * 64; at += 24) {
    const start = strings + view.getUint32(at, true);
    if (Buffer.from(bytes.subarray(start, start + name.length + 1)).toString('latin1') === `${name}\0`) return u64(at + 8);
  }
  throw new Error(`no ${name}`);
}
