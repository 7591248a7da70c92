import { EINTR, ERESTART_RESTARTBLOCK, ERESTARTNOHAND, ERESTARTSYS } from '../../abi/errno.ts';
import {
  CLD_CONTINUED,
  CLD_STOPPED,
  SA_ONSTACK,
  SA_RESTART,
  SA_RESTORER,
  SI_USER,
  SIGCHLD,
  SIGCONT,
  SIGHUP,
  SIGKILL,
  SIGSEGV,
  SIGSTOP,
  SIGTERM,
  SIGUSR1,
  SIGUSR2,
  SIGWINCH,
} from '../../abi/signal.ts';
import { RtSigframe } from '../../abi/signal_frame.ts';
import { REG } from '../../platforms/platform.ts';
import { FakeMachine, type FakeTask } from '../testing/fake_task.ts';
import { deliverPending } from './signal_delivery.ts';
import { popSignalFrame } from './signal_frame.ts';
import { forceSignal, sendToGroup, sendToTask, setSignalMask } from './signal_send.ts';
import { type SignalAction, signalBit } from './signal_state.ts';

const HANDLER = 0x40_1000;
const RESTORER = 0x40_2000;

function handler(flags = 0, mask = 0n): SignalAction {
  return { handler: HANDLER, flags: flags | SA_RESTORER, restorer: RESTORER, mask };
}

/** A process that is not init, in a system call, with a stack. */
function victim(): { machine: FakeMachine; task: FakeTask; stack: number } {
  const machine = new FakeMachine();
  const task = machine.process();
  const stack = task.memory.place(65536) + 65536;
  const registers = task.fake.state;
  registers.set(REG.rsp, stack);
  registers.set(REG.rip, 0x40_0002);
  registers.u64[REG.cs] = 0x33n;
  registers.u64[REG.ss] = 0x2bn;
  registers.u64[REG.eflags] = 0x647n; // DF and TF set
  task.syscallNumber = 7;
  return { machine, task, stack };
}

function user(signal: number) {
  return { signal, code: SI_USER, pid: 77, uid: 1000 };
}

test('a handler gets registers and a frame that rt_sigreturn undoes', () => {
  const { task, stack } = victim();
  const { state } = task.fake;
  state.set(REG.rbx, 0x1234);
  task.fake.image = new Uint8Array(832).fill(0x5a, 0, 460);
  new DataView(task.fake.image.buffer).setBigUint64(512, 7n, true);
  task.group.handlers.set(SIGUSR1, handler(0, signalBit(SIGTERM)));
  sendToTask(task, user(SIGUSR1));
  task.syscallResult = 42;
  expect(deliverPending(task)).toBe('run');

  const frame = state.get(REG.rsp);
  expect((frame + 8) % 16).toBe(0);
  expect(frame).toBeLessThan(stack - 128 - 832 - 440);
  expect([state.get(REG.rip), state.get(REG.rdi), state.get(REG.rax)]).toEqual([HANDLER, SIGUSR1, 0]);
  expect(state.get(REG.rsi)).toBe(frame + RtSigframe.offsets.info);
  expect(state.get(REG.rdx)).toBe(frame + RtSigframe.offsets.uc);
  expect((state.u64[REG.eflags] as bigint) & 0x10500n).toBe(0n);
  expect(task.fake.image).toBeNull();
  expect(task.signalMask).toBe(signalBit(SIGUSR1) | signalBit(SIGTERM));
  expect(task.memory.u64(frame)).toBe(BigInt(RESTORER));
  expect([0, 4, 8, 16, 20].map((o) => task.memory.i32(state.get(REG.rsi) + o))).toEqual([SIGUSR1, 0, SI_USER, 77, 1000]);
  const fpstate = Number(task.memory.u64(frame + 8 + 40 + 184));
  expect(fpstate % 64).toBe(0);
  expect(task.memory.u32(fpstate + 464)).toBe(0x46505853);
  expect(task.memory.u32(fpstate + 832)).toBe(0x46505845);

  state.set(REG.rsp, frame + 8); // the handler returned
  state.set(REG.rbx, 0);
  expect(popSignalFrame(task)).toBe(true);
  expect([state.get(REG.rsp), state.get(REG.rip), state.get(REG.rax), state.get(REG.rbx)]).toEqual([stack, 0x40_0002, 42, 0x1234]);
  expect(state.u64[REG.eflags]).toBe(0x647n);
  expect(task.signalMask).toBe(0n);
  expect((task.fake.image as unknown as Uint8Array)[100]).toBe(0x5a);
});

test.each([
  ['ERESTARTSYS without SA_RESTART', ERESTARTSYS, 0, EINTR],
  ['ERESTARTSYS with SA_RESTART', ERESTARTSYS, SA_RESTART, 7],
  ['ERESTARTNOHAND', ERESTARTNOHAND, SA_RESTART, EINTR],
  ['ERESTART_RESTARTBLOCK', ERESTART_RESTARTBLOCK, SA_RESTART, EINTR],
])('%s with a handler', (_name, code, flags, expected) => {
  const { task } = victim();
  task.group.handlers.set(SIGUSR1, handler(flags));
  sendToTask(task, user(SIGUSR1));
  task.syscallResult = code;
  deliverPending(task);
  const uc = task.fake.state.get(REG.rdx);
  const rax = Number(BigInt.asIntN(64, task.memory.u64(uc + 40 + 13 * 8)));
  expect(rax).toBe(expected);
  expect(Number(task.memory.u64(uc + 40 + 16 * 8))).toBe(expected === 7 ? 0x40_0000 : 0x40_0002);
});

test('without a handler an interrupted call goes on', () => {
  const { task } = victim();
  sendToTask(task, user(SIGWINCH)); // ignored by default: never queued
  expect(task.pending.set).toBe(0n);
  task.syscallResult = ERESTART_RESTARTBLOCK;
  expect(deliverPending(task)).toBe('run');
  expect([task.fake.state.get(REG.rax), task.fake.state.get(REG.rip)]).toEqual([219, 0x40_0000]);
});

test('a fatal signal decides the exit of every thread', () => {
  const { machine, task } = victim();
  const other = machine.thread(task);
  other.state = 'app';
  sendToGroup(task.group, user(SIGTERM));
  expect(deliverPending(task)).toBe('dead');
  expect(task.group.exiting).toBe(SIGTERM);
  expect([task.state, other.state, task.group.zombie]).toEqual(['dead', 'dead', true]);
});

test('init ignores what it does not handle, faults excepted', () => {
  const init = new FakeMachine().process(undefined, null, 1);
  sendToGroup(init.group, user(SIGTERM));
  sendToGroup(init.group, user(SIGKILL));
  expect(init.group.pending.set).toBe(0n);
  setSignalMask(init, signalBit(SIGHUP));
  sendToGroup(init.group, user(SIGHUP));
  setSignalMask(init, 0n);
  expect(deliverPending(init)).toBe('run');
  forceSignal(init, { signal: SIGSEGV, code: 1, address: 0 });
  expect(deliverPending(init)).toBe('dead');
});

test('SIGKILL from outside the namespace kills init', () => {
  const init = new FakeMachine().process(undefined, null, 1);
  sendToGroup(init.group, { signal: SIGKILL, code: SI_USER });
  expect(deliverPending(init)).toBe('dead');
});

test('a blocked or ignored fault kills; a handled one does not', () => {
  const { task } = victim();
  task.group.handlers.set(SIGSEGV, handler());
  forceSignal(task, { signal: SIGSEGV, code: 1, address: 0xdead });
  expect(deliverPending(task)).toBe('run');
  expect(task.memory.u64(task.fake.state.get(REG.rsi) + 16)).toBe(0xdeadn);
  forceSignal(task, { signal: SIGSEGV, code: 1, address: 0xdead }); // inside its own handler: blocked
  expect(deliverPending(task)).toBe('dead');
});

test('no room for the frame is a SIGSEGV, and one more for that kills', () => {
  const { task } = victim();
  task.fake.state.set(REG.rsp, 0x1000);
  task.group.handlers.set(SIGUSR1, handler());
  task.group.handlers.set(SIGSEGV, handler());
  sendToTask(task, user(SIGUSR1));
  expect(deliverPending(task)).toBe('dead');
  expect(task.group.exiting).toBe(SIGSEGV);
});

test('SA_ONSTACK runs on the alternate stack, nested handlers stay there', () => {
  const { task } = victim();
  const address = task.memory.place(16384);
  task.altStack = { address, size: 16384, flags: 0 };
  task.group.handlers.set(SIGUSR1, handler(SA_ONSTACK));
  task.group.handlers.set(SIGUSR2, handler(SA_ONSTACK));
  sendToTask(task, user(SIGUSR1));
  sendToTask(task, user(SIGUSR2));
  deliverPending(task);
  const sp = task.fake.state.get(REG.rsp);
  expect(sp).toBeGreaterThan(address);
  expect(sp).toBeLessThan(address + 16384 - 2 * (832 + 440));
});

test('stop parks every thread and tells the parent; continue does too', () => {
  const { machine, task } = victim();
  const parent = machine.process();
  task.group.parent = parent.group;
  setSignalMask(parent, signalBit(SIGCHLD));
  const other = machine.thread(task);
  other.state = 'app';
  sendToGroup(task.group, user(SIGSTOP));
  expect(deliverPending(task)).toBe('parked');
  expect(task.group.stopped).toBe(false);
  expect(other.fake.interrupts).toBe(1);
  expect(deliverPending(other)).toBe('parked');
  expect([task.group.stopped, task.group.stopReport]).toEqual([true, 'stopped']);
  expect(parent.group.pending.take(signalBit(SIGCHLD))).toMatchObject({ code: CLD_STOPPED, status: SIGSTOP });

  sendToGroup(task.group, user(SIGTERM)); // waits for SIGCONT
  expect(task.parked).toBe('group-stop');
  sendToGroup(task.group, user(SIGCONT));
  expect([task.parked, other.parked, task.group.stopReport]).toEqual([null, null, 'continued']);
  expect(parent.group.pending.take(signalBit(SIGCHLD))).toMatchObject({ code: CLD_CONTINUED });
  expect(deliverPending(task)).toBe('dead');
});

test('stop and continue cancel each other', () => {
  const { task } = victim();
  sendToGroup(task.group, user(SIGSTOP));
  sendToTask(task, user(SIGCONT));
  expect(deliverPending(task)).toBe('run');
});

test('SIGKILL reaches a stopped process', () => {
  const { task } = victim();
  sendToGroup(task.group, user(SIGSTOP));
  expect(deliverPending(task)).toBe('parked');
  sendToGroup(task.group, user(SIGKILL));
  expect(task.parked).toBeNull();
  expect(deliverPending(task)).toBe('dead');
});

test('a process signal goes to a thread that does not block it, also after the mask changes', () => {
  const { machine, task } = victim();
  const other = machine.thread(task);
  task.group.handlers.set(SIGUSR1, handler());
  other.state = 'app';
  setSignalMask(task, signalBit(SIGUSR1));
  sendToGroup(task.group, user(SIGUSR1));
  expect([task.attention, other.attention]).toEqual([false, true]);
  task.state = 'app';
  setSignalMask(task, 0n);
  setSignalMask(other, signalBit(SIGUSR1));
  expect(task.attention).toBe(true);
});

test('a temporary mask comes back, in the frame if a handler runs', () => {
  const { task } = victim();
  setSignalMask(task, signalBit(SIGUSR1) | signalBit(SIGUSR2));
  task.group.handlers.set(SIGUSR1, handler());
  sendToTask(task, user(SIGUSR1));
  task.savedMask = task.signalMask;
  setSignalMask(task, signalBit(SIGTERM));
  expect(task.attention).toBe(true);
  deliverPending(task);
  const uc = task.fake.state.get(REG.rdx);
  expect(task.memory.u64(uc + 296)).toBe(signalBit(SIGUSR1) | signalBit(SIGUSR2));
  expect(task.signalMask).toBe(signalBit(SIGTERM) | signalBit(SIGUSR1));
});

test('a frame with a wrong state image is refused', () => {
  const { task } = victim();
  task.group.handlers.set(SIGUSR1, handler());
  sendToTask(task, user(SIGUSR1));
  deliverPending(task);
  const frame = task.fake.state.get(REG.rsp);
  const fpstate = Number(task.memory.u64(frame + 8 + 40 + 184));
  task.memory.view.setBigUint64(fpstate + 512 - 0x10000, 1n << 40n, true);
  task.memory.view.setBigUint64(fpstate + 464 + 8 - 0x10000, ~0n, true);
  task.fake.state.set(REG.rsp, frame + 8);
  expect(popSignalFrame(task)).toBe(false);
});
