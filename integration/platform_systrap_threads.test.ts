/** Threads that their maker's stub makes while it goes on, and that end before the Sentry has heard of it. */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { EAGAIN, type Errno } from '../abi/errno.ts';
import { PROT_EXEC, PROT_READ, PROT_WRITE } from '../abi/mman.ts';
import { host } from '../lib/host.ts';
import { HostPoll } from '../platforms/host_poll.ts';
import { type Platform, REG, type ThreadContext, type ThreadEvents, type ThreadOwn } from '../platforms/platform.ts';
import { createPlatform, openSource } from '../platforms/select.ts';
import { code, LOOP_FOREVER, mov, SYSCALL } from './machine_code.ts';

const CODE = 0x40_0000;
const PAGE = 4096;
const WORD = CODE + PAGE - 64;
const LIST = CODE + PAGE - 128;
const EXIT = 60;
const O_RDONLY_CLOEXEC = 0o2000000;
const call = (nr: number): number[] => [...mov.eax(nr), ...SYSCALL];

let platform: Platform;
const seen: string[] = [];
/** What an event does, beyond being seen. */
let react: ((thread: ThreadContext) => void) | null = null;
const refused: { via: ThreadContext; thread: ThreadContext; error: Errno }[] = [];
const events: ThreadEvents = {
  syscall: (thread) => {
    seen.push(`syscall ${thread.sysno}`);
    react?.(thread);
  },
  fault: (_thread, signal) => void seen.push(`fault ${signal}`),
  interrupted: () => void seen.push('interrupted'),
  exited: (_thread, cause) => void seen.push(`exited ${cause}`),
  notStarted: (via, thread, error) => {
    refused.push({ via, thread, error });
    thread.exit();
    seen.push('not started');
  },
};
beforeAll(() => {
  const procFd = host.openat(-100, '/proc', O_RDONLY_CLOEXEC);
  platform = createPlatform('systrap', { host, poll: new HostPoll(host), procFd, sourceFd: openSource(host, 'systrap', null) });
});
afterAll(() => platform.shutdown());
beforeEach(() => {
  seen.length = refused.length = 0;
  react = null;
});

function next(): string | undefined {
  const end = host.monotonicNow() + 20e9;
  while (seen.length === 0 && host.monotonicNow() < end) platform.wait(events, host.monotonicNow() + 1e7);
  return seen.shift();
}
const pidOf = (thread: ThreadContext): number => (thread.space as unknown as { pid: number }).pid;
const hostThreads = (thread: ThreadContext): number => readdirSync(`/proc/${pidOf(thread)}/task`).length;

/** A thread at its first call, number 500. */
function start(...program: readonly number[][]): ThreadContext {
  const thread = platform.newAddressSpace() as ThreadContext;
  thread.space.mapAnonymous(thread, CODE, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC);
  const bytes = code(call(500), ...program);
  thread.space.write(CODE, bytes, 0, bytes.length);
  const regs = thread.registers();
  regs.set(REG.rip, CODE);
  regs.set(REG.rsp, CODE + PAGE - 256);
  thread.setRegisters();
  thread.resume();
  expect(next()).toBe('syscall 500');
  return thread;
}
/** Another thread, made late, that runs what lies behind the call. */
function late(via: ThreadContext): ThreadContext {
  const thread = via.space.newThread(via, true) as ThreadContext;
  expect(typeof thread).toBe('object');
  return thread;
}
function readWord(thread: ThreadContext, address: number): number {
  const bytes = new Uint8Array(4);
  thread.space.read(address, bytes, 0, 4);
  return new DataView(bytes.buffer).getInt32(0, true);
}
function writeWord(thread: ThreadContext, address: number, value: number): void {
  thread.space.write(address, new Uint8Array(new BigInt64Array([BigInt(value)]).buffer), 0, 8);
}

test('a late thread is made as its maker goes on, and runs from its own registers', () => {
  const maker = start(call(501), LOOP_FOREVER);
  const other = late(maker);
  expect(hostThreads(maker)).toBe(1);
  other.registers().set(REG.rax, 502);
  other.registers().set(REG.rip, CODE + call(500).length + mov.eax(501).length);
  other.setRegisters();
  other.resume();
  maker.resumeWithResult(0);
  expect([next(), next()].sort()).toEqual(['syscall 501', 'syscall 502']);
  expect(hostThreads(maker)).toBe(2);
  maker.space.release();
});

test('whoever is not resumed makes its thread all the same', () => {
  const maker = start(call(501), LOOP_FOREVER);
  maker.resumeWithResult(0);
  let other: ThreadContext | null = null;
  react = (thread) => {
    react = null;
    other = late(thread);
    other.resumeWithResult(1);
  };
  expect(next()).toBe('syscall 501');
  expect(hostThreads(maker)).toBe(2);
  (other as ThreadContext | null)?.interrupt();
  expect(next()).toBe('interrupted');
  maker.space.release();
});

test('a kick finds a thread that has not begun, and so does its end', () => {
  for (let i = 0; i < 50; i++) {
    const maker = start(LOOP_FOREVER);
    const kicked = late(maker);
    kicked.resume();
    kicked.interrupt();
    maker.resumeWithResult(0);
    expect(next()).toBe('interrupted');
    maker.interrupt();
    expect(next()).toBe('interrupted');
    const ended = late(maker);
    ended.resume();
    ended.exit();
    maker.resume();
    const end = host.monotonicNow() + 20e9;
    const hasEnded = (): boolean => (ended as unknown as { hasEnded(): boolean }).hasEnded();
    while (!hasEnded() && host.monotonicNow() < end) platform.wait(events, host.monotonicNow() + 1e6);
    expect([hasEnded(), seen]).toEqual([true, []]);
    maker.space.release();
  }
});

test('a thread that has not heard of its end is forgotten with its space', () => {
  for (let i = 0; i < 50; i++) {
    const maker = start(LOOP_FOREVER);
    const ended = late(maker);
    ended.resume();
    ended.exit();
    maker.resumeWithResult(0);
    maker.space.release();
  }
  expect((platform as unknown as { running: unknown[] }).running.length).toBe(0);
  // Nobody else gets its place while it is looked at.
  const thread = start(call(501));
  thread.resume();
  expect(next()).toBe('syscall 501');
  thread.space.release();
});

/** The maker loops; another thread calls exit(2), having been told what it may. */
function startEnding(own: Partial<Pick<ThreadOwn, 'keeps' | 'robustList' | 'clearChildTid'>>): ThreadContext[] {
  const maker = start(call(EXIT), LOOP_FOREVER);
  const other = late(maker);
  Object.assign(other.own as ThreadOwn, own);
  other.resumeWithResult(0);
  maker.registers().set(REG.rip, CODE + call(500).length + call(EXIT).length);
  maker.setRegisters();
  writeWord(maker, WORD, 77);
  maker.resume();
  return [maker, other];
}

test('a thread that may ends before its exit is an event, with its word cleared; its number serves again', () => {
  for (let i = 0; i < 20; i++) {
    const [maker, other] = startEnding({ keeps: true, clearChildTid: WORD }) as [ThreadContext, ThreadContext];
    expect(next()).toBe(`syscall ${EXIT}`);
    expect([other.own?.cleared, other.own?.clearChildTid, readWord(maker, WORD)]).toEqual([true, WORD, 0]);
    while (hostThreads(maker) > 1);
    expect(other.cpuTime()).toBeGreaterThan(0);
    other.exit();
    maker.interrupt();
    expect(next()).toBe('interrupted');
    const third = maker.space.newThread(maker) as ThreadContext & { index: number };
    expect(third.index).toBe((other as ThreadContext & { index: number }).index);
    expect([third.own?.cleared, third.own?.clearChildTid]).toEqual([false, 0]);
    maker.space.release();
  }
});

test('one that holds a robust lock, names no memory, or may not, waits for its end', () => {
  const ways: readonly (readonly [string, Parameters<typeof startEnding>[0], (maker: ThreadContext) => void])[] = [
    ['a lock', { keeps: true, robustList: LIST, clearChildTid: WORD }, (maker) => writeWord(maker, LIST, WORD)],
    ['no list', { keeps: true, robustList: 64, clearChildTid: WORD }, () => {}],
    ['no word', { keeps: true, clearChildTid: 64 }, () => {}],
    ['not told', { clearChildTid: WORD }, () => {}],
  ];
  for (const [what, own, prepare] of ways) {
    const maker = start(call(EXIT), LOOP_FOREVER);
    prepare(maker);
    writeWord(maker, WORD, 77);
    const other = late(maker);
    Object.assign(other.own as ThreadOwn, own);
    other.resumeWithResult(0);
    maker.registers().set(REG.rip, CODE + call(500).length + call(EXIT).length);
    maker.setRegisters();
    maker.resume();
    expect([what, next()]).toEqual([what, `syscall ${EXIT}`]);
    expect([hostThreads(maker), other.own?.cleared, readWord(maker, WORD)]).toEqual([2, false, 77]);
    other.resumeWithResult(0); // it has not ended
    maker.space.release();
  }
});

test('one that has ended cannot be resumed: its process ends', () => {
  const [maker, other] = startEnding({ keeps: true }) as [ThreadContext, ThreadContext];
  expect(next()).toBe(`syscall ${EXIT}`);
  other.resumeWithResult(0);
  expect(next()).toMatch(/^exited/);
  maker.space.release();
});

test('the process’s first thread waits for its end', () => {
  const thread = start(call(EXIT), LOOP_FOREVER);
  (thread.own as ThreadOwn).keeps = true;
  thread.resumeWithResult(0);
  expect(next()).toBe(`syscall ${EXIT}`);
  expect(hostThreads(thread)).toBe(1);
  thread.space.release();
});

/** A control group in which no more than so many threads may be; null: none can be made here. */
function pidsGroup(most: number): string | null {
  const base = ['/sys/fs/cgroup/pids', '/sys/fs/cgroup'].find((folder) => existsSync(join(folder, 'cgroup.procs')));
  if (base === undefined) return null;
  const folder = join(base, `systrap-threads-${process.pid}`);
  mkdirSync(folder, { recursive: true });
  if (!existsSync(join(folder, 'pids.max'))) return null;
  writeFileSync(join(folder, 'pids.max'), String(most));
  return folder;
}

test('what the host refuses is told, and the maker goes on', () => {
  const group = pidsGroup(1) as string;
  expect(group).not.toBeNull();
  const maker = start(call(501), LOOP_FOREVER);
  try {
    writeFileSync(join(group, 'cgroup.procs'), String(pidOf(maker)));
    const other = late(maker);
    other.resume();
    maker.resumeWithResult(7);
    expect(next()).toBe('not started');
    expect(refused).toEqual([{ via: maker, thread: other, error: EAGAIN }]);
    maker.setResult?.(EAGAIN);
    expect(maker.registers().get(REG.rip)).toBe(CODE + call(500).length);
    maker.resume();
    expect(next()).toBe('syscall 501');

    // And where it has been stopped meanwhile.
    maker.registers().set(REG.rip, CODE);
    maker.setRegisters();
    react = (thread) => {
      react = null;
      late(thread).resume();
    };
    maker.resume();
    expect(next()).toBe('syscall 500');
    expect(next()).toBe('not started');
    maker.resumeWithResult(0);
    expect(next()).toBe('syscall 501');
  } finally {
    maker.space.release();
    host.syscall(61, pidOf(maker), new Int32Array(1), 0x4000_0000, null);
    while (readFileSync(join(group, 'cgroup.procs'), 'latin1') !== '');
    rmdirSync(group);
  }
});
