/** What every platform must do, as tests over hand-assembled code. Needs root (or a user namespace with ptrace). */
import { PROT_READ } from '../abi/mman.ts';
import { SIGFPE, SIGILL, SIGSEGV, SIGTRAP } from '../abi/signal.ts';
import { host } from '../lib/host.ts';
import { type Platform, REG, type ThreadContext } from '../platforms/platform.ts';
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
import { memoryTests } from './platform_memory_tests.ts';
import { CODE, DATA, PAGE, PlatformWorld, RW, RWX } from './platform_world.ts';

const CLOCK_GETTIME = 228;

/** hostProcesses: applications are processes of the host, which it can kill. */
export function platformSuite(create: () => Platform, hostProcesses = true): void {
  const world = new PlatformWorld(create);
  memoryTests(world);

  test('a system call comes out with its arguments, its result goes in', () => {
    const big = 0x1234_5678_9abc;
    const args = [...mov.edi(1), ...mov.esi(2), ...mov.edx(3), ...mov.r10(big), ...mov.r8(5), ...mov.r9(6)];
    const thread = world.start(args, mov.eax(39), SYSCALL, mov.rdiFromRax, mov.eax(60), SYSCALL);
    const first = world.nextCall();
    expect(first).toMatchObject({ sysno: 39, args: [1, 2, 3, big, 5, 6] });
    expect(first.thread === thread).toBe(true);
    expect(thread.registers().get(REG.rax)).toBe(39);
    thread.resumeWithResult(-11);
    expect(world.nextCall()).toMatchObject({ sysno: 60, args: [2 ** 64 - 11, 2, 3, big, 5, 6] });
    thread.resumeWithResult(big);
    world.next();
    thread.space.release();
  });

  test('results of 64 bits arrive whole', () => {
    const thread = world.start(mov.eax(1), SYSCALL, mov.rdiFromRax, mov.eax(2), SYSCALL);
    world.nextCall();
    thread.resumeWithResult(0x7fff_1234_5678);
    expect(world.nextCall().args[0]).toBe(0x7fff_1234_5678);
    thread.space.release();
  });

  test('registers can be read and changed at a call; a call can be restarted', () => {
    const thread = world.start(mov.eax(7), SYSCALL, mov.rdiFromAtRbx, mov.eax(8), SYSCALL);
    world.nextCall();
    thread.space.write(DATA, new Uint8Array([42, 0, 0, 0, 0, 0, 0, 0]), 0, 8);
    const regs = thread.registers();
    expect(regs.get(REG.rip)).toBe(CODE + 7);
    regs.set(REG.rip, CODE + 5);
    regs.set(REG.rbx, DATA);
    regs.set(REG.fs_base, DATA);
    thread.setRegisters();
    thread.resume();
    expect(world.nextCall()).toMatchObject({ sysno: 7 });
    expect(thread.registers().get(REG.fs_base)).toBe(DATA);
    thread.resumeWithResult(0);
    expect(world.nextCall()).toMatchObject({ sysno: 8, args: [42, 0, 0, 0, 0, 0] });
    thread.space.release();
  });

  test('resume at a call leaves its number in rax', () => {
    const thread = world.start(mov.eax(7), SYSCALL, mov.rdiFromRax, mov.eax(8), SYSCALL);
    world.nextCall();
    thread.resume();
    expect(world.nextCall().args[0]).toBe(7);
    thread.space.release();
  });

  test('memory operations at a call leave the registers alone', () => {
    const thread = world.start(mov.eax(7), SYSCALL, mov.rbx(DATA + PAGE), mov.atRbxFromRax, mov.rdiFromAtRbx, mov.eax(8), SYSCALL);
    world.nextCall();
    expect(thread.space.mapAnonymous(thread, DATA + PAGE, PAGE, RW)).toBe(0);
    thread.resumeWithResult(99);
    expect(world.nextCall()).toMatchObject({ sysno: 8, args: [99, 0, 0, 0, 0, 0] });
    expect(thread.space.unmap(thread, DATA + PAGE, PAGE)).toBe(0);
    expect(thread.space.read(DATA + PAGE, new Uint8Array(8), 0, 8)).toBe(-14);
    thread.space.release();
  });

  test('the first thread may end before the others', () => {
    const first = world.start(mov.eax(7), SYSCALL, mov.rbx(DATA), mov.atRbxFromRax, mov.eax(8), SYSCALL, LOOP_FOREVER);
    world.nextCall();
    const second = first.space.newThread(first) as ThreadContext;
    first.exit();
    second.resumeWithResult(3);
    world.expectStop(world.nextCall(), second, { sysno: 8 });
    expect(second.space.read(DATA, new Uint8Array(8), 0, 8)).toBe(8);
    expect(second.space.mapAnonymous(second, DATA + PAGE, PAGE, RW)).toBe(0);
    expect(second.space.resident().total).toBeGreaterThan(0);
    const third = second.space.newThread(second) as ThreadContext;
    third.resumeWithResult(0);
    third.exit(); // running
    second.resumeWithResult(0);
    second.interrupt();
    world.expectStop(world.next(), second, { kind: 'interrupted' });
    second.space.release();
  });

  test('faults: address, code and signal', () => {
    const bad = 0x1_2345_6000;
    const thread = world.start(mov.rbx(bad), mov.rdiFromAtRbx, mov.eax(8), SYSCALL);
    expect(world.next()).toMatchObject({ kind: 'fault', signal: SIGSEGV, code: 1, address: bad });
    expect(thread.registers().get(REG.rip)).toBe(CODE + 10);
    expect(thread.space.mapAnonymous(thread, bad, PAGE, PROT_READ)).toBe(0);
    thread.resume();
    expect(world.nextCall()).toMatchObject({ sysno: 8 });
    thread.space.release();
  });

  test('other faults of an instruction', () => {
    for (const [bytes, signal] of [
      [UD2, SIGILL],
      [DIVIDE_BY_ZERO, SIGFPE],
      [INT3, SIGTRAP],
    ] as const) {
      const thread = world.start([...bytes]);
      world.expectStop(world.next(), thread, { kind: 'fault', signal });
      thread.space.release();
    }
  });

  test('a write to a read-only page says so', () => {
    const thread = world.space(code(mov.rbx(DATA), mov.atRbxFromRax));
    thread.space.protect(thread, DATA, PAGE, PROT_READ);
    thread.resume();
    expect(world.next()).toMatchObject({ kind: 'fault', signal: SIGSEGV, code: 2, address: DATA });
    thread.space.release();
  });

  test('interrupt stops a runaway loop', () => {
    const thread = world.start(LOOP_FOREVER);
    for (let i = 0; i < 3; i++) {
      thread.interrupt();
      world.expectStop(world.next(), thread, { kind: 'interrupted' });
      expect(thread.registers().get(REG.rip)).toBe(CODE);
      thread.resume();
    }
    thread.space.release();
  });

  test('an interrupt that comes too late leaves no trace', () => {
    const thread = world.start(call(7), call(8), LOOP_FOREVER);
    for (let spin = 0; spin < 20_000; spin++) host.monotonicNow(); // by now it has stopped, unreported
    thread.interrupt();
    const first = world.next();
    if (first.kind === 'interrupted') {
      thread.resume();
      world.nextCall();
    } else {
      expect(first).toMatchObject({ kind: 'syscall', sysno: 7 });
    }
    expect(thread.space.mapAnonymous(thread, DATA + PAGE, PAGE, RW)).toBe(0);
    thread.resumeWithResult(0);
    expect(world.nextCall()).toMatchObject({ sysno: 8 });
    thread.interrupt(); // stopped: no effect
    thread.resumeWithResult(0);
    thread.interrupt();
    expect(world.next()).toMatchObject({ kind: 'interrupted' });
    thread.space.release();
  });

  test('the extended state survives calls, can be copied and reset', () => {
    const value = 0x1122_3344_5566;
    const thread = world.start(
      mov.rax(value),
      XMM3_FROM_RAX,
      call(7),
      RDI_FROM_XMM3,
      mov.eax(8),
      SYSCALL,
      RDI_FROM_XMM3,
      mov.eax(9),
      SYSCALL,
    );
    world.nextCall();
    const image = thread.xstate();
    expect(image.length).toBeGreaterThanOrEqual(576);
    expect(new DataView(image.buffer).getBigUint64(160 + 3 * 16, true)).toBe(BigInt(value));
    thread.resumeWithResult(0);
    expect(world.nextCall().args[0]).toBe(value);
    expect(thread.setXstate(null)).toBe(true);
    thread.resumeWithResult(0);
    expect(world.nextCall().args[0]).toBe(0);
    expect(thread.setXstate(image)).toBe(true);
    world.jump(thread, CODE + 10 + 5 + 17);
    thread.resume();
    expect(world.nextCall()).toMatchObject({ sysno: 8, args: [value, 0, 0, 0, 0, 0] });
    expect(thread.setXstate(new Uint8Array(64))).toBe(false);
    const broken = image.slice();
    broken.fill(0xff, 512, 576);
    expect(thread.setXstate(broken)).toBe(false);
    thread.space.release();
  });

  test('single step', () => {
    const thread = world.start(call(7), NOP, NOP, call(8));
    world.nextCall();
    thread.registers().set(REG.rax, 0);
    thread.setRegisters();
    for (let i = 1; i <= 2; i++) {
      thread.resumeSingleStep();
      expect(world.next()).toMatchObject({ kind: 'fault', signal: SIGTRAP, code: 2 });
      expect(thread.registers().get(REG.rip)).toBe(CODE + 17 + i);
    }
    thread.resume();
    expect(world.nextCall()).toMatchObject({ sysno: 8 });
    thread.space.release();
  });

  test('int 0x80 is no system call', () => {
    const thread = world.start(mov.eax(20), INT80, mov.eax(8), SYSCALL);
    expect(world.nextCall()).toMatchObject({ sysno: -1 });
    thread.resumeWithResult(-38);
    expect(world.nextCall()).toMatchObject({ sysno: 8 });
    thread.space.release();
  });

  test('the host vDSO works', () => {
    const thread = world.start(call(7));
    world.nextCall();
    const base = thread.space.vdsoBase;
    expect(base).toBeGreaterThan(0);
    const elf = new Uint8Array(4096);
    expect(thread.space.read(base, elf, 0, 4096)).toBe(4096);
    expect([...elf.subarray(0, 4)]).toEqual([0x7f, 0x45, 0x4c, 0x46]);
    const clockGettime = base + vdsoSymbol(thread, base, '__vdso_clock_gettime');
    const program = code(mov.edi(1), mov.esi(DATA), mov.rax(clockGettime), CALL_RAX, mov.rdiFromRax, mov.eax(8), SYSCALL);
    thread.space.write(CODE, program, 0, program.length);
    world.jump(thread, CODE);
    thread.resume();
    const before = host.monotonicNow();
    const after = world.nextCall();
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
    const thread = world.start(LOOP_FOREVER);
    const [pid] = childPids().filter((p) => !before.includes(p));
    expect(pid).toBeGreaterThan(1);
    host.kill(pid as number, 9);
    world.expectStop(world.next(), thread, { kind: 'exited' });
    thread.space.release();
    world.platform.wait(world.recorder, 0);
    expect(world.recorder.events).toEqual([]);
  });

  test('cpuTime grows', () => {
    const thread = world.start(mov.ecx(20_000_000), SPIN_ECX, call(7));
    world.nextCall();
    expect(thread.cpuTime()).toBeGreaterThan(1e6);
    thread.space.release();
  });

  test('a thousand spaces in turn leave nothing behind', () => {
    const fds = openDescriptors();
    const program = code(call(7));
    for (let i = 0; i < 1000; i++) {
      const thread = world.platform.newAddressSpace() as ThreadContext;
      expect(typeof thread).toBe('object');
      thread.space.mapAnonymous(thread, CODE, PAGE, RWX);
      thread.space.write(CODE, program, 0, program.length);
      world.jump(thread, CODE);
      thread.resume();
      expect(world.nextCall().thread === thread).toBe(true);
      thread.space.release();
    }
    for (let i = 0; i < 20; i++) world.platform.wait(world.recorder, host.monotonicNow() + 1e6);
    expect(openDescriptors()).toBeLessThanOrEqual(fds);
    expect(childPids().length).toBeLessThan(20);
  }, 30_000);

  test('wait returns at its deadline', () => {
    const before = host.monotonicNow();
    world.platform.wait(world.recorder, before + 3e6);
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
