import { BPF_ABS, BPF_JEQ, BPF_JMP, BPF_LD, BPF_RET, BPF_W, SockFilter } from '../../abi/bpf.ts';
import { EINVAL } from '../../abi/errno.ts';
import {
  SECCOMP_FILTER_FLAG_TSYNC,
  SECCOMP_RET_ALLOW,
  SECCOMP_RET_ERRNO,
  SECCOMP_RET_KILL_PROCESS,
  SECCOMP_RET_TRAP,
} from '../../abi/seccomp.ts';
import { SIGSYS } from '../../abi/signal.ts';
import { FakeMachine, type FakeTask } from '../testing/fake_task.ts';
import { enforceSeccomp, installFilter, type SeccompState } from './seccomp.ts';
import { ALL_SIGNALS } from './signal_state.ts';

type Row = readonly [code: number, jt: number, jf: number, k: number];
const LOAD = BPF_LD | BPF_W | BPF_ABS;
const JEQ = BPF_JMP | BPF_JEQ;

/** struct sock_fprog in the task's memory. */
function program(task: FakeTask, rows: readonly Row[]): number {
  const bytes = new Uint8Array(rows.length * 8);
  for (const [i, [code, jt, jf, k]] of rows.entries()) SockFilter.write(new DataView(bytes.buffer), i * 8, { code, jt, jf, k });
  const fprog = new DataView(new ArrayBuffer(16));
  fprog.setUint16(0, rows.length, true);
  fprog.setUint32(8, task.memory.place(bytes), true);
  return task.memory.place(new Uint8Array(fprog.buffer));
}

/** `verdict` for call `nr`, everything else allowed. */
function rule(nr: number, verdict: number): Row[] {
  return [
    [LOAD, 0, 0, 0],
    [JEQ, 0, 1, nr],
    [BPF_RET, 0, 0, verdict],
    [BPF_RET, 0, 0, SECCOMP_RET_ALLOW],
  ];
}

function call(task: FakeTask, nr: number, first = 0): number | null {
  task.syscallNumber = nr;
  task.fake.sysno = nr;
  task.fake.args[0] = first;
  return enforceSeccomp(task, task.seccomp as SeccompState) as number | null;
}

test('every filter runs and the strictest verdict counts', () => {
  const task = new FakeMachine().process();
  expect(installFilter(task, 0, program(task, rule(39, SECCOMP_RET_ERRNO | 13)))).toBe(0);
  expect(installFilter(task, 0, program(task, rule(39, SECCOMP_RET_ALLOW)))).toBe(0);
  expect([call(task, 39), call(task, 40)]).toEqual([-13, null]);
  expect(installFilter(task, 0, program(task, rule(39, SECCOMP_RET_KILL_PROCESS)))).toBe(0);
  call(task, 39);
  expect(task.group.exiting).toBe(SIGSYS);
});

test('arguments decide where the filter looks at them', () => {
  const task = new FakeMachine().process();
  const rows: Row[] = [
    [LOAD, 0, 0, 16],
    [JEQ, 0, 1, 7],
    [BPF_RET, 0, 0, SECCOMP_RET_ERRNO | 1],
    [BPF_RET, 0, 0, SECCOMP_RET_ALLOW],
  ];
  installFilter(task, 0, program(task, rows));
  expect([call(task, 1, 7), call(task, 1, 8)]).toEqual([-1, null]);
});

test('a trap is a SIGSYS that tells the call', () => {
  const task = new FakeMachine().process();
  installFilter(task, 0, program(task, rule(39, SECCOMP_RET_TRAP | 5)));
  expect(call(task, 39)).toBe(39);
  expect(task.pending.take(ALL_SIGNALS)).toMatchObject({ signal: SIGSYS, syscall: 39, errno: 5 });
});

test('broken programs are refused', () => {
  const task = new FakeMachine().process();
  const refused: Row[][] = [
    [[LOAD, 0, 0, 0]], // no return
    [
      [JEQ, 5, 0, 0], // jumps out
      [BPF_RET, 0, 0, 0],
    ],
    [
      [LOAD, 0, 0, 2], // not aligned
      [BPF_RET, 0, 0, 0],
    ],
    [
      [LOAD, 0, 0, 64], // beyond the end
      [BPF_RET, 0, 0, 0],
    ],
    [
      [0x34, 0, 0, 0], // division by 0
      [BPF_RET, 0, 0, 0],
    ],
  ];
  for (const rows of refused) expect(installFilter(task, 0, program(task, rows))).toBe(EINVAL);
});

test('TSYNC takes the other threads along, if they can follow', () => {
  const machine = new FakeMachine();
  const task = machine.process();
  const other = machine.thread(task);
  installFilter(other, 0, program(task, rule(1, SECCOMP_RET_ALLOW)));
  expect(installFilter(task, SECCOMP_FILTER_FLAG_TSYNC, program(task, rule(39, SECCOMP_RET_ERRNO | 1)))).toBe(other.tid);
  other.seccomp = null;
  expect(installFilter(task, SECCOMP_FILTER_FLAG_TSYNC, program(task, rule(39, SECCOMP_RET_ERRNO | 1)))).toBe(0);
  expect(call(other, 39)).toBe(-1);
});
