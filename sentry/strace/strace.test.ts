import { EBADF, ENOENT, ERESTARTSYS } from '../../abi/errno.ts';
import { SIGCHLD } from '../../abi/signal.ts';
import { SYSCALLS } from '../syscalls/table.ts';
import { FakeMachine, type FakeTask } from '../testing/fake_task.ts';
import { Strace } from './strace.ts';

class World {
  readonly lines: string[] = [];
  readonly strace = new Strace(SYSCALLS, (line) => this.lines.push(line.replace(/^\[\d+ \d+\] /, '')));
  readonly task: FakeTask = new FakeMachine().process();

  text(text: string): number {
    return this.task.memory.place(Buffer.from(`${text}\0`, 'latin1'));
  }
  enter(name: keyof typeof SYSCALLS, ...args: number[]): void {
    const { fake } = this.task;
    for (const [i, value] of args.entries()) {
      fake.args[2 * i] = value;
      fake.args[2 * i + 1] = Math.floor(value / 2 ** 32);
    }
    this.task.syscallNumber = (SYSCALLS[name] as { number: number }).number;
    this.strace.enter(this.task);
  }
  call(name: keyof typeof SYSCALLS, args: number[], result: number): string {
    this.enter(name, ...args);
    this.strace.exit(this.task, result);
    return this.lines.at(-1) as string;
  }
}

test('paths, flags, errors', () => {
  const w = new World();
  expect(w.call('openat', [-100, w.text('/etc/passwd'), 0o2000000, 0], ENOENT)).toBe(
    'openat(AT_FDCWD, "/etc/passwd", O_RDONLY|O_CLOEXEC, 0) = -1 ENOENT',
  );
  expect(w.call('mmap', [0, 4096, 3, 0x22, -1, 0], 0x7f0000001000)).toBe(
    'mmap(NULL, 4096, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, NULL) = 0x7f0000001000',
  );
  expect(w.call('kill', [5, 9], 0)).toBe('kill(5, SIGKILL) = 0');
});

test('buffers show what was moved, cut to length', () => {
  const w = new World();
  expect(w.call('write', [1, w.text('hi\n"x'), 5], 5)).toBe('write(1, "hi\\n\\"x", 5) = 5');
  expect(w.call('write', [1, w.text('a'.repeat(200)), 200], 200)).toBe(`write(1, "${'a'.repeat(64)}"..., 200) = 200`);
  expect(w.call('read', [0, w.text('abcdef'), 100], 3)).toBe('read(0, "abc", 100) = 3');
  expect(w.call('read', [0, 0x5000, 100], EBADF)).toBe('read(0, 0x5000, 100) = -1 EBADF');
});

test('a call that waits gives two lines', () => {
  const w = new World();
  const buffer = w.text('ok');
  w.enter('read', 3, buffer, 2);
  w.strace.wait(w.task);
  w.strace.wait(w.task);
  w.strace.exit(w.task, 2);
  expect(w.lines).toEqual(['read(3,  <unfinished ...>', '<... read resumed>"ok", 2) = 2']);
  expect(w.call('pause', [], ERESTARTSYS)).toBe('pause() = ? ERESTARTSYS');
});

test('calls that do not return, signals, numbers that nobody knows', () => {
  const w = new World();
  w.enter('exit_group', 3);
  w.strace.signal(w.task, { signal: SIGCHLD, code: 1, pid: 7, uid: 0 });
  w.task.syscallNumber = 999;
  w.strace.enter(w.task);
  w.strace.exit(w.task, -38);
  expect(w.lines).toEqual(['exit_group(3) = ?', '--- SIGCHLD {si_code=1, si_pid=7, si_uid=0} ---', 'syscall_999() = -1 ENOSYS']);
});

test('structs', () => {
  const w = new World();
  const action = new DataView(new ArrayBuffer(32));
  action.setUint32(0, 1, true);
  action.setUint32(8, 0x10000000, true);
  action.setUint32(24, 1 << 14, true);
  expect(w.call('rt_sigaction', [13, w.task.memory.place(new Uint8Array(action.buffer)), 0, 8], 0)).toBe(
    'rt_sigaction(SIGPIPE, {sa_handler=SIG_IGN, sa_mask=[TERM], sa_flags=SA_RESTART}, NULL, 8) = 0',
  );
  const stat = new Uint8Array(144);
  new DataView(stat.buffer).setUint32(24, 0o100644, true);
  expect(w.call('fstat', [3, w.task.memory.place(stat)], 0)).toBe('fstat(3, {st_mode=S_IFREG|0644, st_size=0, ...}) = 0');
  const inet = Uint8Array.of(2, 0, 0, 80, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0);
  expect(w.call('connect', [3, w.task.memory.place(inet), 16], 0)).toBe(
    'connect(3, {sa_family=AF_INET, sin_port=htons(80), sin_addr="127.0.0.1"}, 16) = 0',
  );
});
