import { EAGAIN, EIO, ENOTTY, EPERM, ERESTARTSYS, isErrno } from '../../abi/errno.ts';
import { O_NOCTTY, O_NONBLOCK, O_RDWR, O_WRONLY } from '../../abi/fcntl.ts';
import { POLLHUP, POLLIN, POLLOUT } from '../../abi/poll.ts';
import { SIG_IGN, SIGCONT, SIGHUP, SIGINT, SIGTTIN, SIGTTOU, SIGWINCH } from '../../abi/signal.ts';
import {
  ECHO,
  FIONREAD,
  ICANON,
  TCGETS,
  TCSETS,
  TIOCGPGRP,
  TIOCGPTN,
  TIOCGSID,
  TIOCNOTTY,
  TIOCPKT,
  TIOCSCTTY,
  TIOCSPGRP,
  TIOCSPTLCK,
  TIOCSTI,
  TIOCSWINSZ,
  TOSTOP,
  VMIN,
  VTIME,
} from '../../abi/termios.ts';
import { byteString, bytesOf } from '../../lib/byte_string.ts';
import { host } from '../../lib/host.ts';
import { HostPoll } from '../../platforms/host_poll.ts';
import { DevptsFilesystem, openSlave, parseDevptsOptions } from '../fs/devpts/devpts.ts';
import { joinGroup, startGroup } from '../kernel/session.ts';
import { ALL_SIGNALS } from '../kernel/signal_state.ts';
import type { Task } from '../kernel/task.ts';
import { writeFrom } from '../syscalls/sys_readwrite.ts';
import { FakeMachine, type FakeTask } from '../testing/fake_task.ts';
import { FileDescription, type FileImpl } from '../vfs/file.ts';
import { BufferIo } from '../vfs/io.ts';
import { newMount } from '../vfs/mount.ts';
import type { Mount } from '../vfs/path.ts';
import { createTerminal, HostTerminal } from './host_terminal.ts';
import { MasterFile } from './master_file.ts';
import type { Terminal } from './terminal.ts';

class World extends FakeMachine {
  readonly fs: DevptsFilesystem;
  readonly mount: Mount;
  constructor() {
    super();
    const options = parseDevptsOptions('newinstance,ptmxmode=0666,mode=0620,gid=5');
    if (isErrno(options)) throw new Error('options');
    this.fs = new DevptsFilesystem(this.kernel.uniqueId(), this.kernel, options);
    this.mount = newMount(this.kernel, this.fs, 0, 'devpts');
  }
  /** A pair whose slave is the controlling terminal of `leader`. */
  pair(leader: FakeTask): { terminal: Terminal; master: FileDescription; slave: FileDescription } {
    const terminal = this.fs.create(0, 0) as Terminal;
    terminal.locked = false;
    const master = new FileDescription(new MasterFile(terminal, this.fs.slavePath(this.mount, terminal)), O_RDWR);
    const slave = this.slave(terminal, leader, 0);
    return { terminal, master, slave };
  }
  /** A pair whose slave is a shell's and whose master ends at one of the host; `outer`: what is behind that. */
  bridged() {
    const poll = new HostPoll(host);
    Object.assign(this.kernel, { poll });
    const [inner, outer] = host.socketpair(1) as [number, number];
    const { terminal, slave } = createTerminal(this.mount, 0, 0) as { terminal: Terminal; slave: FileDescription };
    const shell = this.process();
    terminal.control(shell.group.group.session, shell.group.group);
    return { poll, outer, slave, shell, bridge: new HostTerminal(this.kernel, terminal, inner) };
  }
  slave(terminal: Terminal, task: Task, flags: number): FileDescription {
    return new FileDescription(openSlave(terminal, flags, task) as FileImpl, O_RDWR);
  }
  /** Another process of the same session. */
  child(of: FakeTask): FakeTask {
    const task = this.process();
    task.group.parent = of.group;
    joinGroup(task.group, of.group.group);
    return task;
  }
  read(file: FileDescription, task: Task, count = 100): string | number | null {
    const bytes = new Uint8Array(count);
    const n = this.start(task, file.impl.read(new BufferIo(bytes), file, task));
    return n === null || n < 0 ? n : byteString(bytes, 0, n);
  }
  write(file: FileDescription, task: Task, text: string): number | null {
    return this.start(task, file.impl.write(new BufferIo(bytesOf(text)), file, task));
  }
  ioctl(file: FileDescription, task: Task, command: number, argument = 0): number | null {
    return this.start(task, file.impl.ioctl(file, task, command, argument));
  }
  setMode(terminal: Terminal, off: number, on: number, cc: Record<number, number> = {}): void {
    const { termios } = terminal.line;
    const c_cc = termios.c_cc.slice();
    for (const [i, c] of Object.entries(cc)) c_cc[Number(i)] = c;
    terminal.setTermios({ ...termios, c_lflag: (termios.c_lflag & ~off) | on, c_cc });
  }
}

/** So that they stay pending where their default is to be ignored. */
function catches(task: Task, ...caught: number[]): void {
  for (const s of caught) task.group.handlers.set(s, { ...task.group.handlers.get(s), handler: 0x1000 });
}

function signals(task: Task): number[] {
  const out: number[] = [];
  for (let info = task.group.pending.take(ALL_SIGNALS); info !== null; info = task.group.pending.take(ALL_SIGNALS)) out.push(info.signal);
  for (let info = task.pending.take(ALL_SIGNALS); info !== null; info = task.pending.take(ALL_SIGNALS)) out.push(info.signal);
  task.attention = false; // nothing is left to attend to
  return out;
}

test('a line goes from master to slave, output the other way', () => {
  const w = new World();
  const shell = w.process();
  const { master, slave } = w.pair(shell);
  expect(w.read(slave, shell)).toBe(EAGAIN);
  expect(w.write(master, shell, 'ls\r')).toBe(3);
  expect(slave.impl.poll(slave) & POLLIN).toBe(POLLIN);
  expect(w.read(slave, shell)).toBe('ls\n');
  expect(w.write(slave, shell, 'a\nb\n')).toBe(4);
  expect(w.read(master, shell)).toBe('ls\r\na\r\nb\r\n');
});

test('opening makes the terminal a leader’s, unless O_NOCTTY', () => {
  const w = new World();
  const [a, b] = [w.process(), w.process()];
  const { terminal } = w.pair(a);
  expect(terminal.session).toBe(a.group.group.session);
  const second = w.slave(terminal, b, 0); // another session has it
  expect(b.group.group.session.terminal).toBe(null);
  expect(w.ioctl(second, b, TIOCSCTTY, 0)).toBe(EPERM);
  expect(w.ioctl(second, b, TIOCSCTTY, 1)).toBe(0); // root may steal
  expect(terminal.session).toBe(b.group.group.session);
  const other = w.fs.create(0, 0) as Terminal;
  other.locked = false;
  w.slave(other, a, O_NOCTTY);
  w.slave(other, a, O_WRONLY);
  expect(a.group.group.session.terminal).toBe(null);
});

test('a locked slave cannot be opened; TIOCSPTLCK and TIOCGPTN', () => {
  const w = new World();
  const task = w.process();
  const terminal = w.fs.create(0, 0) as Terminal;
  const master = new FileDescription(new MasterFile(terminal, w.fs.slavePath(w.mount, terminal)), O_RDWR);
  expect(openSlave(terminal, O_RDWR, task)).toBe(EIO);
  const at = task.memory.place(4);
  expect(w.ioctl(master, task, TIOCSPTLCK, at)).toBe(0);
  expect(isErrno(openSlave(terminal, O_RDWR | O_NOCTTY, task))).toBe(false);
  expect(w.ioctl(master, task, TIOCGPTN, at)).toBe(0);
  expect(task.memory.u32(at)).toBe(0);
  expect([...w.fs.root.entries()].map((e) => e.name)).toEqual(['ptmx', '0']);
  master.release();
  expect([...w.fs.root.entries()].map((e) => e.name)).toEqual(['ptmx']);
});

test('^C reaches the foreground group only', () => {
  const w = new World();
  const shell = w.process();
  const job = w.child(shell);
  startGroup(job.group);
  const { master, slave } = w.pair(shell);
  const id = job.memory.place(new Uint8Array([job.pid, 0, 0, 0]));
  expect(w.ioctl(slave, shell, TIOCSPGRP, shell.memory.place(job.memory.slice(id, 4)))).toBe(0);
  w.write(master, shell, '\x03');
  expect([signals(job), signals(shell)]).toEqual([[SIGINT], []]);
  expect(w.ioctl(slave, job, TIOCGPGRP, id)).toBe(0);
  expect(job.memory.u32(id)).toBe(job.pid);
  expect(w.ioctl(slave, job, TIOCGSID, id)).toBe(0);
  expect(job.memory.u32(id)).toBe(shell.pid);
});

test('background reads, writes and changes', () => {
  const w = new World();
  const shell = w.process();
  const { terminal, slave } = w.pair(shell);
  const job = w.child(shell);
  startGroup(job.group);
  expect(w.read(slave, job)).toBe(ERESTARTSYS);
  expect(signals(job)).toEqual([SIGTTIN]);
  expect(w.write(slave, job, 'x')).toBe(1); // no TOSTOP
  w.setMode(terminal, 0, TOSTOP);
  expect(w.write(slave, job, 'x')).toBe(ERESTARTSYS);
  const at = job.memory.place(64);
  expect(w.ioctl(slave, job, TCGETS, at)).toBe(0);
  expect(w.ioctl(slave, job, TCSETS, at)).toBe(ERESTARTSYS);
  expect(signals(job)).toEqual([SIGTTOU]); // pending once
  job.group.handlers.set(SIGTTIN, { ...job.group.handlers.get(SIGTTIN), handler: SIG_IGN });
  job.group.handlers.set(SIGTTOU, { ...job.group.handlers.get(SIGTTOU), handler: SIG_IGN });
  expect(w.read(slave, job)).toBe(EIO);
  expect(w.write(slave, job, 'x')).toBe(1);
  expect(w.ioctl(slave, job, TIOCSPGRP, job.memory.place(new Uint8Array([job.pid, 0, 0, 0])))).toBe(0);
  expect(terminal.foreground).toBe(job.group.group);
});

test('an orphaned group gets EIO instead of a stop', () => {
  const w = new World();
  const shell = w.process();
  const { slave } = w.pair(shell);
  const job = w.child(shell);
  startGroup(job.group);
  job.group.parent = null;
  expect(w.read(slave, job)).toBe(EIO);
  expect(signals(job)).toEqual([]);
});

test('the master closes: hang-up', () => {
  const w = new World();
  const shell = w.process();
  const { terminal, master, slave } = w.pair(shell);
  catches(shell, SIGHUP, SIGCONT);
  master.release();
  expect(signals(shell).sort()).toEqual([SIGHUP, SIGCONT].sort());
  expect(w.read(slave, shell)).toBe('');
  expect(w.write(slave, shell, 'x')).toBe(EIO);
  expect(slave.impl.poll(slave) & POLLHUP).toBe(POLLHUP);
  expect(w.ioctl(slave, shell, TIOCSPGRP, 0)).toBe(ENOTTY);
  expect(shell.group.group.session.terminal).toBe(null);
  expect(openSlave(terminal, O_RDWR, shell)).toBe(EIO);
});

test('the last slave closes: the master reads what is left, then EIO; a new slave revives it', () => {
  const w = new World();
  const shell = w.process();
  const { terminal, master, slave } = w.pair(shell);
  w.write(slave, shell, 'bye');
  slave.release();
  expect(w.read(master, shell)).toBe('bye');
  expect(w.read(master, shell)).toBe(EIO);
  expect(master.impl.poll(master) & POLLHUP).toBe(POLLHUP);
  w.slave(terminal, shell, O_NOCTTY);
  expect(w.read(master, shell)).toBe(EAGAIN);
});

test('the leader exits: the foreground hears of it, and may still use the terminal it has open', () => {
  const w = new World();
  const shell = w.process();
  const { terminal, slave } = w.pair(shell);
  const job = w.child(shell);
  startGroup(job.group);
  terminal.foreground = job.group.group;
  terminal.disassociate();
  expect(signals(job)).toEqual([SIGHUP]);
  expect(shell.group.group.session.terminal).toBe(null);
  expect(w.write(slave, job, 'x')).toBe(1);
});

test('TIOCNOTTY of a leader wakes the foreground with SIGHUP', () => {
  const w = new World();
  const shell = w.process();
  const { terminal, slave } = w.pair(shell);
  expect(w.ioctl(slave, shell, TIOCNOTTY)).toBe(0);
  expect(terminal.session).toBe(null);
  expect(signals(shell)).toContain(SIGHUP);
  expect(w.ioctl(slave, shell, TIOCNOTTY)).toBe(ENOTTY);
});

test('VMIN and VTIME', () => {
  const w = new World();
  const task = w.process();
  const { terminal, master, slave } = w.pair(task);
  w.setMode(terminal, ICANON | ECHO, 0, { [VMIN]: 3, [VTIME]: 0 });
  w.write(master, task, 'ab');
  expect(slave.impl.poll(slave) & POLLIN).toBe(0);
  expect(w.read(slave, task)).toBe(null); // waits for the third
  w.write(master, w.process(), 'c');
  expect(w.result(task)).toBe(3);

  w.setMode(terminal, 0, 0, { [VMIN]: 0, [VTIME]: 0 });
  expect(w.read(slave, task)).toBe(''); // never waits
  w.setMode(terminal, 0, 0, { [VMIN]: 0, [VTIME]: 2 });
  expect(w.read(slave, task)).toBe(null);
  w.advance(200_000_000);
  expect(w.result(task)).toBe(0);

  w.setMode(terminal, 0, 0, { [VMIN]: 5, [VTIME]: 1 });
  expect(w.read(slave, task)).toBe(null);
  w.advance(10_000_000_000); // the timer starts with the first byte
  expect(w.result(task)).toBe(null);
  w.write(master, w.process(), 'xy');
  w.step();
  w.advance(100_000_000);
  expect(w.result(task)).toBe(2);
  slave.flags |= O_NONBLOCK;
  w.write(master, task, 'z');
  expect(w.read(slave, task)).toBe('z');
  expect(w.read(slave, task)).toBe(EAGAIN);
});

test('a slow master makes the writer wait and loses nothing', () => {
  const w = new World();
  const task = w.process();
  const { master, slave } = w.pair(task);
  const text = 'y'.repeat(200_000);
  expect(w.write(slave, task, text)).toBe(null);
  let got = 0;
  let result: number | null = null;
  while (result === null) {
    got += (w.read(master, task, 50_000) as string).length;
    result = w.result(task);
  }
  for (let n = w.read(master, task, 50_000); typeof n === 'string'; n = w.read(master, task, 50_000)) got += n.length;
  expect([result, got]).toEqual([200_000, 200_000]);
});

test('window size, packet mode, FIONREAD, TIOCSTI', () => {
  const w = new World();
  const task = w.process();
  const { master, slave, terminal } = w.pair(task);
  catches(task, SIGWINCH);
  const size = task.memory.place(new Uint8Array([24, 0, 80, 0, 0, 0, 0, 0]));
  expect(w.ioctl(master, task, TIOCSWINSZ, size)).toBe(0);
  expect(w.ioctl(slave, task, TIOCSWINSZ, size)).toBe(0); // unchanged: no second signal
  expect(signals(task)).toEqual([SIGWINCH]);
  expect(terminal.winsize).toMatchObject({ ws_row: 24, ws_col: 80 });
  w.write(master, task, 'abc\nde');
  const n = task.memory.place(4);
  expect(w.ioctl(slave, task, FIONREAD, n)).toBe(0);
  expect(task.memory.u32(n)).toBe(4);
  w.read(master, task);
  w.ioctl(master, task, TIOCPKT, task.memory.place(new Uint8Array([1, 0, 0, 0])));
  w.write(slave, task, 'x');
  expect(w.read(master, task)).toBe('\0x');
  w.write(master, task, '\x13');
  expect(w.read(master, task)).toBe('\x04'); // TIOCPKT_STOP
  expect(w.ioctl(slave, task, TIOCSTI, n)).toBe(EIO);
});

test('a bridge carries bytes both ways, waits for a slow host, and drains at the end', () => {
  const w = new World();
  const { poll, outer, slave, shell, bridge } = w.bridged();
  const chunk = new Uint8Array(65536);
  const shown = (): string => {
    const n = host.syscall(45, outer, chunk, chunk.length, 0x40, 0, 0); // recvfrom MSG_DONTWAIT
    return n > 0 ? byteString(chunk, 0, n) : '';
  };
  host.write(outer, bytesOf('id\r'));
  poll.wait(0);
  expect(w.read(slave, shell)).toBe('id\n');
  expect(shown()).toBe('id\r\n');
  catches(shell, SIGWINCH);
  bridge.resize(50, 120);
  expect(signals(shell)).toEqual([SIGWINCH]);

  const text = 'z'.repeat(1_000_000);
  expect(w.write(slave, shell, text)).toBe(null);
  let got = '';
  for (let i = 0; i < 1000 && w.result(shell) === null; i++) {
    got += shown();
    poll.wait(0);
  }
  let done = false;
  slave.release();
  bridge.finish(() => (done = true));
  for (let i = 0; i < 1000 && !done; i++) {
    got += shown();
    poll.wait(0);
  }
  got += shown();
  for (let more = shown(); more !== ''; more = shown()) got += more;
  expect([done, got.length]).toEqual([true, text.length]);
  expect(host.read(outer, chunk)).toBe(0); // closed
  host.close(outer);
});

test('a line that is too long swallows what comes, a little at a time', () => {
  const w = new World();
  const shell = w.process();
  const { master } = w.pair(shell);
  const wanted = 1 << 20;
  const source = new BufferIo(new Uint8Array(wanted).fill(97));
  expect(w.start(shell, writeFrom(shell, master, source))).toBeNull();
  expect(source.moved).toBeLessThan(wanted / 10);
  expect(w.result(shell)).toBe(wanted);
  master.flags |= O_NONBLOCK;
  expect(w.start(shell, writeFrom(shell, master, new BufferIo(new Uint8Array(wanted).fill(97))))).toBeLessThan(wanted);
});

test('the host side goes away: the session is hung up', () => {
  const w = new World();
  const { poll, outer, slave, shell } = w.bridged();
  host.close(outer);
  poll.wait(0);
  expect(signals(shell)).toContain(SIGHUP);
  expect(w.read(slave, shell)).toBe('');
  expect(slave.impl.poll(slave) & POLLOUT).toBe(POLLOUT);
});
