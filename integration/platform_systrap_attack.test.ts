/** A hostile application: jumps into the stub, writes slots, lies about processes. The Sentry must stay whole, the host untouched. */
import { PROT_EXEC, PROT_READ, PROT_WRITE } from '../abi/mman.ts';
import { host } from '../lib/host.ts';
import { HostPoll } from '../platforms/host_poll.ts';
import { type Platform, REG, type ThreadContext, type ThreadEvents } from '../platforms/platform.ts';
import { createPlatform, openSource } from '../platforms/select.ts';
import { STUB_BASE } from '../platforms/stub_layout.ts';
import {
  C_RESULT,
  COUNTS_PAGE,
  DATA_SIZE,
  FUTEX_BUCKETS,
  M_LENGTH,
  PIECE_WORDS,
  SLOT_SIZE,
  SLOTS,
  STATE_POSTED,
  W_CODE,
  W_COMMANDS,
  W_GATHERED,
  W_KIND,
  W_MEMORY,
} from '../platforms/systrap/layout.ts';
import { call, code, LOOP_FOREVER, mov, SYSCALL } from './machine_code.ts';

const CODE = 0x40_0000;
const STACK = 0x60_0000;
const PAGE = 4096;
const COUNTS = SLOTS + COUNTS_PAGE * SLOT_SIZE;
/** The sandbox's page, which stubs may read. */
const GLOBAL = STUB_BASE + 0x20_0000;
const RWX = PROT_READ | PROT_WRITE | PROT_EXEC;
const O_RDONLY_CLOEXEC = 0o2000000;
const DENIED = {
  openat: 257,
  socket: 41,
  execve: 59,
  kill: 62,
  ptrace: 101,
  process_vm_writev: 311,
  ioctl: 16,
  bpf: 321,
  prctl: 157,
  sendmsg: 46,
};

/** ns. On a machine with much else to do, the end of a process may take its time. */
const PATIENCE = 30e9;
/** The clone of a thread in the stub: mov $56, eax; syscall; test rax, rax; jz. The thread then posts. */
const CLONE_NR = mov.eax(56);
const NEW_THREAD = [...CLONE_NR, ...SYSCALL, 0x48, 0x85, 0xc0, 0x74];

let platform: Platform;
const seen: string[] = [];
const events: ThreadEvents = {
  syscall: (thread) => void seen.push(`syscall ${thread.sysno}`),
  fault: (_thread, signal) => void seen.push(`fault ${signal}`),
  interrupted: () => void seen.push('interrupted'),
  exited: () => void seen.push('exited'),
};
beforeAll(() => {
  const procFd = host.openat(-100, '/proc', O_RDONLY_CLOEXEC);
  const sourceFd = openSource(host, 'systrap', null);
  platform = createPlatform('systrap', { host, poll: new HostPoll(host), procFd, sourceFd });
});
afterAll(() => platform.shutdown());
beforeEach(() => {
  seen.length = 0;
});

function next(): string | undefined {
  const end = host.monotonicNow() + PATIENCE;
  // Who forges a request does not ring: it is seen when the platform looks for another reason.
  while (seen.length === 0 && host.monotonicNow() < end) platform.wait(events, host.monotonicNow() + 1e7);
  return seen.shift();
}
function program(...parts: number[][]): ThreadContext {
  const thread = platform.newAddressSpace() as ThreadContext;
  thread.space.mapAnonymous(thread, CODE, PAGE, RWX);
  thread.space.mapAnonymous(thread, STACK - PAGE, PAGE, RWX);
  const bytes = code(...parts);
  thread.space.write(CODE, bytes, 0, bytes.length);
  jump(thread, CODE);
  return thread;
}
function jump(thread: ThreadContext, to: number): void {
  const regs = thread.registers();
  regs.set(REG.rip, to);
  regs.set(REG.rsp, STACK - 64);
  thread.setRegisters();
}
/** Where the stub's code has these bytes. */
function stubPlaces(thread: ThreadContext, bytes: readonly number[]): number[] {
  const text = new Uint8Array(4 * PAGE);
  const length = thread.space.read(STUB_BASE, text, 0, text.length);
  expect(length).toBeGreaterThanOrEqual(PAGE);
  const found: number[] = [];
  for (let i = 0; i + bytes.length <= length; i++) if (bytes.every((byte, k) => text[i + k] === byte)) found.push(STUB_BASE + i);
  return found;
}
const stubSyscalls = (thread: ThreadContext): number[] => stubPlaces(thread, SYSCALL);
/** mov word at `address` = value; clobbers rax and rbx. */
const store = (address: number, value: number): number[] => [...mov.rbx(address), ...mov.eax(value), 0x89, 0x03];

test('calls from inside the stub are no more than the list allows', () => {
  const thread = program(call(7));
  thread.resume();
  expect(next()).toBe('syscall 7');
  const places = stubSyscalls(thread);
  expect(places.length).toBeGreaterThan(5);
  for (const place of places.slice(0, 6)) {
    for (const nr of Object.values(DENIED)) {
      thread.registers().set(REG.rax, nr);
      jump(thread, place);
      thread.resume();
      expect(next()).toBe(`syscall ${nr}`);
    }
  }
  thread.space.release();
});

/** The thread makes this call by a system-call instruction of the stub's. */
function callFromStub(thread: ThreadContext, nr: number, ...args: readonly number[]): void {
  const regs = thread.registers();
  regs.set(REG.rax, nr);
  for (const [i, r] of [REG.rdi, REG.rsi, REG.rdx, REG.r10, REG.r8, REG.r9].entries()) regs.set(r, args[i] ?? 0);
  jump(thread, stubSyscalls(thread)[0] as number);
  thread.resume();
}

test('locks that the host would keep are refused, whoever asks', () => {
  const thread = program(call(7));
  thread.resume();
  next();
  // LOCK_PI, UNLOCK_PI, TRYLOCK_PI, WAIT_REQUEUE_PI, CMP_REQUEUE_PI, LOCK_PI2; FD; a bitset's wake: with and without PRIVATE.
  for (const op of [6, 7, 8, 11, 12, 13, 2, 10]) {
    for (const flags of [0, 128, 256, 384]) {
      callFromStub(thread, 202, STACK - 64, op | flags, 1, 0, STACK - 128, 0);
      expect(next()).toBe('syscall 202');
    }
  }
  thread.space.release();
});

test('who sleeps in the host on words of the stub’s own ends with its process', () => {
  for (const [word, op] of [
    [SLOTS, 128], // its own state, which the Sentry wakes as a word that is not private
    [COUNTS, 137],
    [GLOBAL, 128],
    [SLOTS, 0],
  ] as const) {
    const thread = program(call(7));
    thread.resume();
    next();
    const value = new Uint8Array(4);
    thread.space.read(word, value, 0, 4);
    callFromStub(thread, 202, word, op, new DataView(value.buffer).getUint32(0, true), 0, 0, 0xffff_ffff);
    for (let i = 0; i < 5; i++) platform.wait(events, host.monotonicNow() + 1e6);
    const other = program(call(7));
    other.resume();
    for (let i = 0; !seen.includes('syscall 7') && i < 1000; i++) platform.wait(events, host.monotonicNow() + 1e7);
    expect(seen.splice(0)).toContain('syscall 7');
    thread.space.release();
    other.space.release();
  }
});

test('lies about sleepers cost the liar a call', () => {
  const thread = program(store(COUNTS, 1), store(COUNTS + 4 * FUTEX_BUCKETS, -1), call(7));
  thread.grantFutexes?.('all');
  thread.resume();
  expect(next()).toBe('syscall 7');
  const { futexes } = thread.space;
  expect(futexes?.wake(thread, 0, 1)).toBeLessThanOrEqual(0); // nothing is mapped there
  futexes?.listed(0, 1);
  futexes?.listed(0, -1);
  const told = new Uint8Array(4);
  thread.space.read(COUNTS, told, 0, 4);
  expect([...told]).toEqual([0, 0, 0, 0]); // what the Sentry counts, it counts for itself
  thread.space.release();
});

test('a process may map what the list allows, and remains a process of its own', () => {
  const thread = program(call(7));
  thread.resume();
  next();
  const regs = thread.registers();
  regs.set(REG.rax, 9);
  regs.set(REG.rdi, 0x70_0000);
  regs.set(REG.rsi, PAGE);
  regs.set(REG.rdx, 3);
  regs.set(REG.r10, 0x21); // shared and anonymous: not in the list
  regs.set(REG.r8, -1);
  jump(thread, stubSyscalls(thread)[0] as number);
  thread.resume();
  expect(next()).toBe('syscall 9');
  thread.space.release();
});

test('a slot that makes no sense ends its process alone', () => {
  const other = program(call(7), LOOP_FOREVER);
  other.resume();
  expect(next()).toBe('syscall 7');
  for (const kind of [0, 4, 99, -1]) {
    const thread = program(store(SLOTS + W_KIND * 4, kind), store(SLOTS, STATE_POSTED), LOOP_FOREVER);
    thread.resume();
    expect(next()).toBe('exited');
    thread.space.release();
  }
  other.resumeWithResult(0);
  other.interrupt();
  expect(next()).toBe('interrupted');
  other.space.release();
});

test('a forged request is a request of the forger', () => {
  const thread = program(store(SLOTS + W_KIND * 4, 1), store(SLOTS, STATE_POSTED), LOOP_FOREVER);
  thread.resume();
  expect(next()).toMatch(/^syscall/);
  thread.space.release(); // it still runs; that must do
  expect(typeof platform.newAddressSpace()).toBe('object');
});

test('memory that a slot only claims to hold or to be writable is the forger’s own', () => {
  const piece = (i: number, address: number, length: number): number[] => {
    const at = SLOTS + (W_MEMORY + i * PIECE_WORDS) * 4;
    return [...store(at, address % 2 ** 32), ...store(at + 4, Math.floor(address / 2 ** 32)), ...store(at + M_LENGTH * 4, length)];
  };
  const post = [
    ...store(SLOTS + W_KIND * 4, 1),
    ...store(SLOTS + W_CODE * 4, 1),
    ...store(SLOTS + W_GATHERED * 4, 1),
    ...store(SLOTS, STATE_POSTED),
  ];
  const nowhere = 0x1234_5000;
  for (const target of [nowhere, STUB_BASE, SLOTS, 0]) {
    const thread = program(piece(0, nowhere, DATA_SIZE), piece(2, target, -1), piece(3, target, 64), post, LOOP_FOREVER);
    thread.resume();
    expect(next()).toMatch(/^syscall/);
    const bytes = new Uint8Array(2 * DATA_SIZE).fill(7);
    // A claim of its own memory's content, no longer than there is room for it; whatever is beyond is read where it is not.
    expect(thread.callMemory?.read(nowhere, bytes, 0, 2 * DATA_SIZE)).toBeLessThan(0);
    thread.callMemory?.write(target, bytes, 0, 2 * DATA_SIZE);
    thread.callMemory?.write(target, bytes, 0, 64);
    thread.resumeWithResult(0);
    thread.interrupt();
    expect(next()).toMatch(/interrupted|exited|fault|syscall/);
    thread.space.release();
  }
  const honest = program(call(7));
  honest.resume();
  expect(next()).toBe('syscall 7');
  honest.space.release();
});

test('what a call has written to memory that is gone by then is the error of the call, and the thread lives', () => {
  const buffer = 0x50_0000;
  const thread = program(
    [...mov.eax(0), ...mov.edi(0), ...mov.rax(buffer)],
    [0x48, 0x89, 0xc6], // mov rsi, rax
    [...mov.edx(16), ...mov.eax(0), ...SYSCALL],
    [0x48, 0x89, 0xc7], // mov rdi, rax
    [...mov.eax(500), ...SYSCALL],
  );
  thread.space.mapAnonymous(thread, buffer, PAGE, PROT_READ | PROT_WRITE);
  thread.resume();
  expect(next()).toBe('syscall 0');
  expect(thread.callMemory?.write(buffer, Uint8Array.of(1, 2, 3), 0, 3)).toBe(3);
  thread.space.unmap(thread, buffer, PAGE);
  thread.resumeWithResult(3);
  expect(next()).toBe('syscall 500');
  expect([thread.args[0], thread.args[1]]).toEqual([2 ** 32 - 14, 2 ** 32 - 1]);
  thread.space.release();
});

test('a sequence that covers the stub restarts its own thread alone', () => {
  const other = program(call(7), LOOP_FOREVER);
  other.resume();
  expect(next()).toBe('syscall 7');
  const thread = program(call(7), call(8), LOOP_FOREVER);
  const area = STACK - PAGE;
  const sequence = area + 64;
  const signature = new Uint32Array([0x12345678]);
  const refuge = CODE + PAGE / 2;
  const loop = Uint8Array.from(LOOP_FOREVER);
  thread.space.write(refuge - 4, new Uint8Array(signature.buffer), 0, 4);
  thread.space.write(refuge, loop, 0, loop.length);
  // struct rseq_cs: all of the stub's code, and where to go when the host takes the processor away there
  const description = new BigUint64Array([0n, BigInt(STUB_BASE), 0x10000n, BigInt(refuge)]);
  thread.space.write(sequence, new Uint8Array(description.buffer), 0, 32);
  thread.resume();
  expect(next()).toBe('syscall 7');
  thread.setRseq?.(area, signature[0] as number);
  const pointer = new BigUint64Array([BigInt(sequence)]);
  thread.space.write(area + 8, new Uint8Array(pointer.buffer), 0, 8);
  thread.resumeWithResult(0);
  thread.interrupt(); // it is in the stub, or in its loop: either way it is the host that moves it
  expect(next()).toMatch(/^(syscall 8|interrupted|exited)$/);
  other.resumeWithResult(0);
  other.interrupt();
  expect(next()).toMatch(/^(interrupted|exited)$/);
  thread.space.release();
  other.space.release();
  expect(typeof platform.newAddressSpace()).toBe('object');
});

test('slots unmapped under the stub end the process', () => {
  const thread = program(call(7));
  thread.resume();
  next();
  const regs = thread.registers();
  regs.set(REG.rax, 11);
  regs.set(REG.rdi, SLOTS);
  regs.set(REG.rsi, SLOT_SIZE);
  // munmap's 0 looks like clone's in a new thread, which writes its slot: it is gone, and the fault cannot be told either.
  jump(thread, (stubPlaces(thread, NEW_THREAD)[0] as number) + CLONE_NR.length);
  thread.resume();
  expect(next()).toBe('exited');
  thread.space.release();
});

test('a lie about a child is not believed', () => {
  const victim = program(call(7)) as ThreadContext & { tid: number };
  const liar = program(call(7), LOOP_FOREVER);
  liar.resume();
  next();
  // A second thread writes the victim's pid over every command's result, for ever.
  const result = SLOTS + (W_COMMANDS + C_RESULT) * 4;
  const body = store(result, victim.tid);
  const back = [0xeb, 256 - body.length - 2];
  const helper = liar.space.newThread(liar) as ThreadContext;
  const bytes = code(body, back);
  liar.space.write(CODE + 256, bytes, 0, bytes.length);
  jump(helper, CODE + 256);
  helper.resume();
  for (let i = 0; i < 10; i++) {
    const child = liar.space.fork(liar);
    if (typeof child === 'number') break; // caught: the liar is being killed
    expect((child as ThreadContext & { tid: number }).tid).not.toBe(victim.tid);
    child.space.release();
  }
  victim.resume();
  for (let i = 0; i < 20 && !seen.includes('syscall 7'); i++) platform.wait(events, host.monotonicNow() + 1e7);
  expect(seen).toContain('syscall 7');
  victim.space.release();
  liar.space.release();
});
