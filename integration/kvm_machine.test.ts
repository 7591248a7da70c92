/** What the KVM platform promises beyond the suite of all platforms: kicks, parallel threads, memory that comes and goes. */
import { readFileSync } from 'node:fs';
import { PROT_EXEC, PROT_READ, PROT_WRITE } from '../abi/mman.ts';
import { SIGBUS } from '../abi/signal.ts';
import { host } from '../lib/host.ts';
import { openKvm, reportKvm } from '../lib/kvm_probe.ts';
import { HostPoll } from '../platforms/host_poll.ts';
import { type Platform, REG, type ThreadContext, type ThreadEvents } from '../platforms/platform.ts';
import { createPlatform } from '../platforms/select.ts';
import { call, code, LOOP_FOREVER, mov, SYSCALL } from './machine_code.ts';

const CODE = 0x40_0000;
const DATA = 0x4000_0000;
const STACK = 0x60_0000;
const PAGE = 4096;
const MIB = 1 << 20;
const RW = PROT_READ | PROT_WRITE;
const KICKS = 1000;

(reportKvm().entry !== 0 ? describe : describe.skip)('the virtual machine', () => {
  let platform: Platform;
  let seen: { what: string; thread: ThreadContext; number: number; address: number }[] = [];
  const note = (what: string, thread: ThreadContext, number = 0, address = 0): void => {
    seen.push({ what, thread, number, address });
  };
  const events: ThreadEvents = {
    syscall: (thread) => note('call', thread, thread.sysno),
    fault: (thread, signal, _code, address) => note('fault', thread, signal, address),
    interrupted: (thread) => note('interrupted', thread),
    exited: (thread, cause) => note(cause, thread),
  };
  beforeAll(() => {
    const procFd = host.openat(-100, '/proc', 0o2000000);
    platform = createPlatform('kvm', { host, poll: new HostPoll(host), procFd, sourceFd: openKvm() as number });
  });
  afterAll(() => platform.shutdown());
  beforeEach(() => {
    seen = [];
  });

  function next() {
    const end = host.monotonicNow() + 20e9;
    while (seen.length === 0 && host.monotonicNow() < end) platform.wait(events, end);
    const event = seen.shift();
    if (event === undefined) throw new Error('no event');
    return event;
  }
  function start(...parts: number[][]): ThreadContext {
    const thread = platform.newAddressSpace() as ThreadContext;
    const program = code(...parts);
    thread.space.mapAnonymous(thread, CODE, PAGE, PROT_READ | PROT_EXEC);
    thread.space.mapAnonymous(thread, STACK - PAGE, PAGE, RW);
    thread.space.writeForced(CODE, program, 0, program.length);
    jump(thread, CODE);
    return thread;
  }
  function jump(thread: ThreadContext, to: number): void {
    thread.registers().set(REG.rip, to);
    thread.registers().set(REG.rsp, STACK);
    thread.setRegisters();
  }
  const resident = (): number => Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync('/proc/self/status', 'latin1'))?.[1]) * 1024;

  test('a thousand kicks, none lost, none too many', () => {
    const thread = start(LOOP_FOREVER);
    const took: number[] = [];
    thread.resume();
    for (let i = 0; i < KICKS; i++) {
      for (let spin = (i * 37) % 200; spin > 0; spin--) host.monotonicNow();
      const asked = host.monotonicNow();
      thread.interrupt();
      expect(next().what).toBe('interrupted');
      took.push(host.monotonicNow() - asked);
      expect(thread.registers().get(REG.rip)).toBe(CODE);
      thread.resume();
    }
    thread.space.release();
    expect(seen).toEqual([]);
    // Others may have the processor at most kicks: the slowest of the quickest tenth.
    const quick = took.sort((a, b) => a - b)[KICKS / 10] as number;
    expect(quick).toBeLessThan(1e6 + wakeUp());
  });

  /** ns that an event of a thread takes to reach us: a call of a thread that does nothing else, the median. */
  function wakeUp(): number {
    const thread = start(SYSCALL, [0xeb, 0xfc]);
    const took = Array.from({ length: 64 }, () => {
      const began = host.monotonicNow();
      thread.resumeWithResult(0);
      next();
      return host.monotonicNow() - began;
    }).sort((a, b) => a - b);
    thread.space.release();
    return took[32] as number;
  }

  test('kicks that meet system calls and page faults change no register', () => {
    // loop: syscall; inc qword [rbx]; add rbx, 4096; jmp loop
    const thread = start(SYSCALL, [0x48, 0xff, 0x03, 0x48, 0x81, 0xc3, 0, 0x10, 0, 0, 0xeb, 0xf2]);
    thread.space.mapAnonymous(thread, DATA, 64 * MIB, RW);
    thread.registers().set(REG.rbx, DATA);
    thread.registers().set(REG.rax, 7);
    thread.resume();
    let calls = 0;
    for (let i = 0; i < KICKS; i++) {
      if (i % 3 !== 0) thread.interrupt();
      const event = next();
      const registers = thread.registers();
      expect(['call', 'interrupted']).toContain(event.what);
      expect(registers.get(REG.rsp)).toBe(STACK);
      if (event.what === 'call') calls++;
      const done = (registers.get(REG.rbx) - DATA) / PAGE;
      // The page's count and rbx change one after the other.
      expect(calls - done).toBeGreaterThanOrEqual(0);
      expect(calls - done).toBeLessThanOrEqual(1);
      if (event.what === 'call') thread.resumeWithResult(7);
      else thread.resume();
    }
    thread.space.release();
  });

  test('threads of one process run in parallel and see each other', () => {
    // lock add [rbx], 1 in a loop of ecx; syscall
    const thread = start(mov.ecx(200_000), [0xf0, 0x48, 0x83, 0x03, 0x01, 0xff, 0xc9, 0x75, 0xf7], call(60));
    thread.space.mapAnonymous(thread, DATA, PAGE, RW);
    thread.registers().set(REG.rbx, DATA);
    const threads = [thread];
    for (let i = 0; i < 5; i++) threads.push(thread.space.newThread(thread) as ThreadContext);
    for (const t of threads) t.resume();
    for (let i = 0; i < threads.length; i++) expect(next()).toMatchObject({ what: 'call', number: 60 });
    const sum = new Uint8Array(8);
    thread.space.read(DATA, sum, 0, 8);
    expect(new DataView(sum.buffer).getUint32(0, true)).toBe(200_000 * threads.length);
    thread.space.release();
  });

  test('more threads than vCPUs share them', () => {
    const loop = start(LOOP_FOREVER);
    const loops = [loop];
    for (let i = 0; i < 40; i++) loops.push(loop.space.newThread(loop) as ThreadContext);
    const worker = start(call(60));
    for (const t of loops) t.resume();
    worker.resume();
    expect(next()).toMatchObject({ what: 'call', number: 60 });
    loop.space.release();
    worker.space.release();
  });

  test('vector state follows its thread from vCPU to vCPU', () => {
    // movq xmm3, rax; syscall; movq rdi, xmm3; syscall
    const body = [0x66, 0x48, 0x0f, 0x6e, 0xd8, ...SYSCALL, 0x66, 0x48, 0x0f, 0x7e, 0xdf, ...SYSCALL];
    const first = start(body);
    const threads = [first];
    for (let i = 1; i < 60; i++) threads.push(first.space.newThread(first) as ThreadContext);
    for (const [i, t] of threads.entries()) {
      t.registers().set(REG.rax, 1000 + i);
      t.resume();
    }
    for (let i = 0; i < threads.length; i++) next();
    for (const t of threads.toReversed()) t.resumeWithResult(0);
    for (let i = 0; i < threads.length; i++) {
      const { thread } = next();
      expect(thread.args[0]).toBe(1000 + threads.indexOf(thread));
    }
    first.space.release();
  });

  test('memory that is freed is the host’s again', () => {
    const size = 256 * MIB;
    // mov [rbx], al; add rbx, 4096; dec ecx; jnz; syscall
    const thread = start(mov.ecx(size / PAGE), [0x88, 0x03, 0x48, 0x81, 0xc3, 0, 0x10, 0, 0, 0xff, 0xc9, 0x75, 0xf3], call(60));
    thread.space.mapAnonymous(thread, DATA, size, RW);
    thread.registers().set(REG.rbx, DATA);
    const before = resident();
    thread.resume();
    next();
    expect(resident() - before).toBeGreaterThan(size * 0.9);
    expect(thread.space.advise(thread, DATA, size / 2, 4 /* MADV_DONTNEED */)).toBe(0);
    expect(resident() - before).toBeLessThan(size * 0.6);
    expect(thread.space.unmap(thread, DATA + PAGE, size - PAGE)).toBe(0);
    expect(resident() - before).toBeLessThan(size * 0.1);
    thread.space.release();
    expect(resident() - before).toBeLessThan(size * 0.1);
  });

  test('what proc tells of memory is what is there', () => {
    const thread = start(call(60));
    thread.space.mapAnonymous(thread, DATA, 8 * MIB, RW);
    expect(thread.space.write(DATA + 5 * PAGE, new Uint8Array([1]), 0, 1)).toBe(1);
    const entries = new Uint8Array(8 * 16);
    expect(thread.space.pagemap?.((DATA / PAGE) * 8, entries, entries.length)).toBe(entries.length);
    const there = [...new BigUint64Array(entries.buffer)].map((entry) => Number(entry >> 63n));
    expect(there).toEqual(Array.from({ length: 16 }, (_, page) => (page === 5 ? 1 : 0)));
    // Code and stack may have neighbours of their own; the eight MiB count as one page.
    expect(thread.space.resident().total).toBeLessThan(64 * PAGE);
    thread.space.release();
  });

  test('a thread that wants more memory than is granted stops before its instruction; what was never touched is taken back', () => {
    const short: (ThreadContext | null)[] = [];
    const watching: ThreadEvents = { ...events, memoryShort: (thread) => short.push(thread) };
    // mov [rbx], al; add rbx, 4096; dec ecx; jnz; syscall: one page of each 2 MiB is in use before.
    const thread = start(mov.ecx(256), [0x88, 0x03, 0x48, 0x81, 0xc3, 0, 0x10, 0, 0, 0xff, 0xc9, 0x75, 0xf3], call(60));
    thread.space.mapAnonymous(thread, DATA, 64 * MIB, RW);
    for (let at = 0; at < 64 * MIB; at += 2 * MIB) thread.space.write(DATA + at + PAGE, new Uint8Array([7]), 0, 1);
    platform.memory?.trim();
    platform.memory?.grant(128 * PAGE, 16 * PAGE);
    thread.registers().set(REG.rbx, DATA);
    thread.resume();
    while (short.length === 0) platform.wait(watching, host.monotonicNow() + 1e9);
    expect(short).toEqual([thread]);
    expect(seen).toEqual([]);
    const reached = (thread.registers().get(REG.rbx) - DATA) / PAGE;
    expect(reached).toBeGreaterThan(96);
    expect(reached).toBeLessThan(160);
    platform.memory?.grant(Number.POSITIVE_INFINITY, 0);
    thread.resume();
    expect(next()).toMatchObject({ what: 'call', number: 60 });
    const held = new Uint8Array(1);
    for (let at = 0; at < 64 * MIB; at += 2 * MIB) {
      thread.space.read(DATA + at + PAGE, held, 0, 1);
      // The first MiB was written anew.
      if (at > 0) expect(held[0]).toBe(7);
    }
    thread.space.release();
  });

  test('a file that is cut off: SIGBUS with the address, and the Sentry’s own access fails', () => {
    const fd = host.memfdCreate('cut', 1);
    host.ftruncate(fd, 4 * PAGE);
    // call; mov rdi, [rbx]
    const thread = start(call(1), [0x48, 0x8b, 0x3b]);
    thread.space.mapFile(thread, DATA, 8 * PAGE, RW, true, fd, 0);
    expect(thread.space.write(DATA + 2 * PAGE, new Uint8Array([1]), 0, 1)).toBe(1);
    thread.registers().set(REG.rbx, DATA + 2 * PAGE + 8);
    thread.resume();
    next();
    host.ftruncate(fd, PAGE);
    expect(thread.space.read(DATA + 2 * PAGE, new Uint8Array(1), 0, 1)).toBe(-14);
    thread.resume();
    expect(next()).toMatchObject({ what: 'fault', number: SIGBUS, address: DATA + 2 * PAGE + 8 });
    host.ftruncate(fd, 8 * PAGE);
    thread.resume();
    next(); // runs into what follows the program
    thread.space.release();
    host.close(fd);
  });

  test('spaces that come and go never see each other', () => {
    // Looks for zeros in fresh memory, then fills it: mov rax,[rbx]; syscall; mov [rbx],rdx; syscall
    const living: ThreadContext[] = [];
    for (let i = 0; i < 1500; i++) {
      const thread = start([0x48, 0x8b, 0x03], SYSCALL, [0x48, 0x89, 0x13], SYSCALL);
      const place = DATA + (i % 7) * 3 * MIB + (i % 5) * PAGE;
      thread.space.mapAnonymous(thread, place, i % 3 === 0 ? 4 * MIB : 3 * PAGE, RW);
      thread.registers().set(REG.rbx, place);
      thread.registers().set(REG.rdx, 0x5eed_0000 + i);
      thread.resume();
      expect(next()).toMatchObject({ what: 'call', number: 0 });
      thread.resumeWithResult(1);
      next();
      living.push(thread);
      if (living.length > 6) {
        const [old] = living.splice(i % 5, 1) as [ThreadContext];
        const held = new Uint8Array(8);
        old.space.read(old.registers().get(REG.rbx), held, 0, 8);
        expect(new DataView(held.buffer).getUint32(0, true)).toBe(old.registers().get(REG.rdx));
        old.space.release();
      }
    }
    for (const thread of living) thread.space.release();
  });
});
