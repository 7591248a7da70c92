import { EINTR } from '../../abi/errno.ts';
import { POLLIN } from '../../abi/poll.ts';
import { SIGKILL } from '../../abi/signal.ts';
import { type Syscall, syscall } from '../syscalls/definition.ts';
import { FakeMachine, type FakeTask } from '../testing/fake_task.ts';
import { type Awaited, CallLog, releasing, Suspension } from './call_log.ts';
import { sendToGroup } from './signal_send.ts';
import { type Blocking, WaitQueue, waitFor } from './wait.ts';

/** An answer that the test gives. */
class Question implements Awaited {
  readonly queue = new WaitQueue();
  done = false;
  begun = 0;
  wasted = 0;
  withdrawn = false;
  takesBack = true;
  begin(): void {
    this.begun++;
  }
  interrupt(): boolean {
    if (this.takesBack) this.withdrawn = true;
    return this.takesBack;
  }
  abandon(): void {
    this.unused();
  }
  unused(): void {
    this.wasted++;
  }
  answer(): void {
    this.done = true;
    this.queue.notify(POLLIN);
  }
}

/** Runs `handler` as system call 0 of a new task, through the kernel's own dispatch. */
function machineWith(handler: (ask: (key: string) => Question) => number | Blocking) {
  const machine = new FakeMachine();
  const { kernel } = machine;
  const task = machine.process() as FakeTask;
  const questions: Question[] = [];
  const results: number[] = [];
  const ask = (key: string): Question => {
    const known = kernel.calls.log.take(key);
    if (known !== null) return known as Question;
    const question = new Question();
    questions.push(question);
    kernel.calls.log.add(key, question);
    throw new Suspension(question);
  };
  const rows: Syscall[] = [syscall({ x64: 0, man: 'read(2)', args: [], run: () => handler(ask) })];
  const resume = (result: number): void => void results.push(result);
  Object.assign(kernel, { syscalls: rows, returnToUser: (_task: unknown, result: number) => resume(result) });
  task.fake.data = task;
  task.fake.sysno = 0;
  const run = (): void => kernel.syscall(task.fake);
  /** As the kernel's loop does. */
  const step = (): void => (kernel as unknown as { advance(task: FakeTask): void }).advance(task);
  return { machine, kernel, task, questions, results, run, step };
}

test('a call is made again until all its questions are answered, each asked once', () => {
  let runs = 0;
  const m = machineWith((ask) => {
    runs++;
    ask('a');
    ask('b');
    return 7;
  });
  m.run();
  expect(m.task.state).toBe('blocked');
  m.questions[0]?.answer();
  m.step();
  m.questions[1]?.answer();
  m.step();
  expect(m.results).toEqual([7]);
  expect(runs).toBe(3);
  expect(m.questions.map((q) => q.begun)).toEqual([1, 1]);
  expect(m.questions.map((q) => q.wasted)).toEqual([0, 0]);
  expect(m.task.callLog).toBeNull();
});

test('the same question twice in a call has two answers, in order', () => {
  const seen: Question[] = [];
  const m = machineWith((ask) => {
    seen.length = 0;
    seen.push(ask('a'), ask('a'));
    return 0;
  });
  m.run();
  m.questions[0]?.answer();
  m.step();
  m.questions[1]?.answer();
  m.step();
  expect(seen).toEqual(m.questions);
});

test('a signal ends the wait if the question can be taken back, and what was answered is given back', () => {
  const m = machineWith((ask) => {
    ask('a');
    ask('b');
    return 0;
  });
  m.run();
  m.questions[0]?.answer();
  m.step();
  m.task.blocked?.notify('signal');
  m.step();
  expect(m.results).toEqual([EINTR]);
  expect(m.questions[1]?.withdrawn).toBe(true);
  expect(m.questions[0]?.wasted).toBe(1);
});

test('a question that is worked on outlasts signals, but not SIGKILL', () => {
  const m = machineWith((ask) => {
    ask('a');
    return 0;
  });
  m.run();
  (m.questions[0] as Question).takesBack = false;
  m.task.blocked?.notify('signal');
  m.step();
  expect(m.results).toEqual([]);
  sendToGroup(m.task.group, { signal: SIGKILL, code: 0 });
  m.step();
  expect(m.results).toEqual([EINTR]);
  expect(m.questions[0]?.wasted).toBeGreaterThan(0);
});

test('an answer that a later run does not use is given back', () => {
  let runs = 0;
  const m = machineWith((ask) => (++runs === 1 ? ask('a').begun : 0));
  m.run();
  m.questions[0]?.answer();
  m.step();
  expect(m.results).toEqual([0]);
  expect(m.questions[0]?.wasted).toBe(1);
});

test('a call that waits in the ordinary way after it was made again keeps its log to its end', () => {
  const gate = new WaitQueue();
  function* wait(): Blocking {
    yield waitFor(gate, POLLIN);
    return 5;
  }
  const m = machineWith((ask) => {
    ask('a');
    return wait();
  });
  m.run();
  m.questions[0]?.answer();
  m.step();
  expect(m.task.callLog).not.toBeNull();
  gate.notify(POLLIN);
  m.step();
  expect(m.results).toEqual([5]);
  expect(m.task.callLog).toBeNull();
});

test('outside of a system call nothing suspends: such a throw is a broken kernel', () => {
  const m = machineWith(() => 0);
  expect(m.kernel.calls.suspends).toBe(false);
  m.run();
  expect(m.kernel.calls.suspends).toBe(false);
});

test('releasing gives back what it holds only if the call unwinds', () => {
  let released = 0;
  const held = { release: () => void released++ };
  expect(releasing(held, () => 3)).toBe(3);
  expect(released).toBe(0);
  const step = (): never => {
    throw new Suspension(new Question());
  };
  expect(() => releasing(held, step)).toThrow();
  expect(released).toBe(1);
});

test('decisions are part of the log, and are found again', () => {
  const log = new CallLog();
  const decision = {};
  log.note('a', decision);
  expect(log.peek('a')).toBeNull();
  log.rewind();
  expect(log.peek('a')).toBe(decision);
  expect(log.take('a')).toBe(decision);
  expect(log.take('a')).toBeNull();
});
