import { readFileSync } from 'node:fs';
import { EACCES, EINVAL, EIO, ENOENT, isErrno } from '../../../abi/errno.ts';
import { O_RDONLY, O_WRONLY } from '../../../abi/fcntl.ts';
import { PROT_EXEC, PROT_READ, PROT_WRITE } from '../../../abi/mman.ts';
import { byteString, bytesOf } from '../../../lib/byte_string.ts';
import { rootCredentials } from '../../kernel/credentials.ts';
import { NetNamespace } from '../../kernel/namespaces.ts';
import type { Task } from '../../kernel/task.ts';
import { USER_BASE } from '../../testing/fake_memory.ts';
import { FakeMachine, type FakeTask } from '../../testing/fake_task.ts';
import { FileDescription } from '../../vfs/file.ts';
import type { Inode } from '../../vfs/inode.ts';
import { BufferIo } from '../../vfs/io.ts';
import { newNamespace } from '../../vfs/mount.ts';
import type { VfsPath } from '../../vfs/path.ts';
import { ProcFilesystem } from './proc_filesystem.ts';
import { presetSysctl } from './sys_tree.ts';

const USER = { ...rootCredentials(0n), uid: 1000, euid: 1000, suid: 1000, fsuid: 1000, gid: 1000, egid: 1000, sgid: 1000, fsgid: 1000 };

class World extends FakeMachine {
  readonly fs: ProcFilesystem;
  readonly me: FakeTask;

  constructor() {
    super();
    this.fs = new ProcFilesystem(this.kernel.uniqueId(), this.kernel, this.kernel.rootPidNamespace);
    this.me = this.furnish(this.process());
  }
  /** Memory, arguments and mounts, as a program that runs has them. */
  furnish(task: FakeTask): FakeTask {
    const ns = newNamespace(this.kernel, this.fs, 0, 'proc');
    task.namespaces = { ...task.namespaces, mount: ns };
    task.fs.root = ns.rootPath;
    task.fs.cwd = ns.rootPath;
    Object.assign(task.memory, { resident: () => ({ total: 1 << 20, shared: 1 << 18 }) });
    Object.assign(task.memory, { readForced: task.memory.read, writeForced: task.memory.write });
    const args = task.memory.place(bytesOf('/bin/app\0--flag\0'));
    const env = task.memory.place(bytesOf('A=1\0B=2\0'));
    Object.assign(task.mm.layout, { argStart: args, argEnd: args + 16, envStart: env, envEnd: env + 8 });
    const own = { start: USER_BASE, end: USER_BASE + 0x1000, prot: PROT_READ | PROT_WRITE, label: '' };
    const vma = { maxProt: 7, shared: false, advice: 0, file: null, offset: 0 };
    task.mm.vmas.add({ ...vma, ...own });
    task.mm.vmas.add({ ...vma, start: 0x400000, end: 0x401000, prot: PROT_READ | PROT_EXEC, label: '' });
    task.mm.vmas.add({ ...vma, start: 0x10000000, end: 0x10021000, prot: PROT_READ | PROT_WRITE, label: '[heap]' });
    task.mm.vmas.add({ ...vma, start: 0x7ffd00000000, end: 0x7ffd00021000, prot: PROT_READ | PROT_WRITE, label: '[stack]' });
    return task;
  }
  /** Walks without a VFS; links are not followed. */
  find(path: string, reader: Task = this.me): Inode | number {
    let at: Inode | number = this.fs.root;
    for (const name of path.split('/').filter((n) => n !== '')) {
      if (typeof at === 'number') return at;
      at = at.lookup(name, reader);
    }
    return at;
  }
  open(path: string, flags = O_RDONLY, reader: Task = this.me): FileDescription | number {
    const inode = this.find(path, reader);
    if (typeof inode === 'number') return inode;
    const impl = inode.open(flags, { path: {} as VfsPath, creds: reader.creds, task: reader });
    return isErrno(impl) ? impl : new FileDescription(impl, flags);
  }
  read(path: string, reader: Task = this.me): string {
    const file = this.open(path, O_RDONLY, reader);
    if (typeof file === 'number') throw new Error(`${path}: errno ${file}`);
    let text = '';
    const bytes = new Uint8Array(1000); // in pieces
    for (;;) {
      const n = file.impl.read(new BufferIo(bytes), file, reader) as number;
      if (n < 0) throw new Error(`${path}: errno ${n}`);
      if (n === 0) return text;
      text += byteString(bytes, 0, n);
    }
  }
  write(path: string, text: string, writer: Task = this.me): number {
    const file = this.open(path, O_WRONLY, writer);
    return typeof file === 'number' ? file : (file.impl.write(new BufferIo(bytesOf(text)), file, writer) as number);
  }
  list(path: string): string[] {
    const file = this.open(path) as FileDescription;
    const names: string[] = [];
    file.impl.readdir(file, (name) => names.push(name) > 0, this.me);
    return names;
  }
}

/** Shapes that the host's files have as well: one expression reads both. */
const LINE = (pattern: string): RegExp => new RegExp(`^(?:${pattern}\\n)+$`);
test.each<[string, RegExp]>([
  ['self/stat', /^\d+ \(.*\) [RSDZTtXI] \d+ \d+ \d+ -?\d+ -?\d+(?: -?\d+){44}\n$/],
  ['self/statm', /^\d+(?: \d+){6}\n$/],
  [
    'self/status',
    /^Name:\t.+\nUmask:\t0\d{3}\nState:\t[RSD] \((running|sleeping|disk sleep)\)\nTgid:\t\d+\nNgid:\t\d+\nPid:\t\d+\nPPid:\t\d+\nTracerPid:\t\d+\nUid:(?:\t\d+){4}\nGid:(?:\t\d+){4}\nFDSize:\t\d+\nGroups:\t[\d ]*\nNStgid:(?:\t\d+)+\nNSpid:(?:\t\d+)+\nNSpgid:(?:\t\d+)+\nNSsid:(?:\t\d+)+\n/,
  ],
  ['self/status', /\nVmPeak:\t *\d+ kB\nVmSize:\t *\d+ kB\nVmLck:\t *\d+ kB\nVmPin:\t *\d+ kB\nVmHWM:\t *\d+ kB\nVmRSS:\t *\d+ kB\n/],
  [
    'self/status',
    /\nThreads:\t\d+\nSigQ:\t\d+\/\d+\nSigPnd:\t[0-9a-f]{16}\nShdPnd:\t[0-9a-f]{16}\nSigBlk:\t[0-9a-f]{16}\nSigIgn:\t[0-9a-f]{16}\nSigCgt:\t[0-9a-f]{16}\nCapInh:\t[0-9a-f]{16}\n/,
  ],
  [
    'self/status',
    /\nCpus_allowed:\t[0-9a-f,]+\nCpus_allowed_list:\t[\d,-]+\nMems_allowed:\t[0-9a-f,]+\nMems_allowed_list:\t[\d,-]+\nvoluntary_ctxt_switches:\t\d+\nnonvoluntary_ctxt_switches:\t\d+\n/,
  ],
  ['self/limits', /^Limit {21}Soft Limit {11}Hard Limit {11}Units {5}\n(?:Max .{22}[\w ]{20} [\w ]{20} (?:\w+ *)?\n){16}$/],
  ['self/cmdline', /^(?:[^\0]+\0)+$/],
  ['self/environ', /^(?:[^\0]*\0)+$/],
  ['self/comm', /^.{1,15}\n$/],
  ['self/maps', LINE('[0-9a-f]{8,}-[0-9a-f]{8,} [r-][w-][x-][ps] [0-9a-f]{8,} [0-9a-f]{2,}:[0-9a-f]{2,} \\d+ (?: {3,}\\S.*)?')],
  ['self/smaps', /^[0-9a-f]+-[0-9a-f]+ .*\nSize: +\d+ kB\nKernelPageSize: +4 kB\nMMUPageSize: +4 kB\nRss: +\d+ kB\nPss: +\d+ kB\n/],
  ['self/smaps', /\nVmFlags:(?: [a-z]{2})+ \n/],
  ['self/smaps_rollup', /^[0-9a-f]+-[0-9a-f]+ ---p 00000000 00:00 0 +\[rollup\]\nRss: +\d+ kB\nPss: +\d+ kB\n/],
  ['self/mounts', LINE('\\S+ \\S+ \\S+ r[wo]\\S* 0 0')],
  ['self/mountinfo', LINE('\\d+ \\d+ \\d+:\\d+ \\S+ \\S+ r[wo]\\S* (?:\\S+ )*- \\S+ \\S+ r[wo]\\S*')],
  ['self/cgroup', LINE('\\d+:[^:]*:/.*')],
  ['self/io', /^(?:[a-z_]+: \d+\n){7}$/],
  ['self/oom_score', /^\d+\n$/],
  ['self/oom_score_adj', /^-?\d+\n$/],
  ['self/loginuid', /^\d+$/],
  ['self/sessionid', /^\d+$/],
  ['self/uid_map', LINE(' *\\d+ +\\d+ +\\d+')],
  ['self/setgroups', /^(allow|deny)\n$/],
  ['self/personality', /^[0-9a-f]{8}\n$/],
  ['self/schedstat', /^\d+ \d+ \d+\n$/],
  ['self/syscall', /^(running|\d+( 0x[0-9a-f]+){8})\n$/],
  ['cpuinfo', /^processor\t: 0\nvendor_id\t: \S+\ncpu family\t: \d+\nmodel\t\t: \d+\nmodel name\t: .+\n/],
  ['meminfo', /^MemTotal: +\d+ kB\nMemFree: +\d+ kB\nMemAvailable: +\d+ kB\nBuffers: +\d+ kB\nCached: +\d+ kB\nSwapCached: +\d+ kB\n/],
  ['stat', /^cpu {2}\d+(?: \d+){9}\ncpu0 \d+(?: \d+){9}\n/],
  ['stat', /\nintr \d+.*\nctxt \d+\nbtime \d+\nprocesses \d+\nprocs_running \d+\nprocs_blocked \d+\nsoftirq( \d+){11}\n$/],
  ['uptime', /^\d+\.\d\d \d+\.\d\d\n$/],
  ['loadavg', /^\d+\.\d\d \d+\.\d\d \d+\.\d\d \d+\/\d+ \d+\n$/],
  ['version', /^Linux version \d+\.\d+\.\d+\S* \(.*\) \(.*\) #.*\n$/],
  ['filesystems', LINE('(?:nodev)?\t\\S+')],
  ['devices', /^Character devices:\n(?: *\d+ \S+\n)+\nBlock devices:\n/],
  ['swaps', /^Filename\s+Type\s+Size\s+Used\s+Priority\n/],
  ['cgroups', /^#subsys_name\thierarchy\tnum_cgroups\tenabled\n(?:\w+\t\d+\t\d+\t[01]\n)+$/],
  ['sys/kernel/random/uuid', /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\n$/],
  ['sys/kernel/random/boot_id', /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\n$/],
  ['sys/kernel/hostname', /^\S+\n$/],
  ['sys/kernel/pid_max', /^\d+\n$/],
  ['sys/kernel/sem', /^\d+(\t\d+){3}\n$/],
  ['sys/fs/file-nr', /^\d+\t\d+\t\d+\n$/],
  ['sys/vm/overcommit_memory', /^[012]\n$/],
  ['sys/net/ipv4/ip_local_port_range', /^\d+\t\d+\n$/],
  [
    'self/net/dev',
    /^Inter-\| {3}Receive +\| {2}Transmit\n face \|bytes +packets errs drop fifo frame compressed multicast\|bytes +packets errs/,
  ],
  ['self/net/tcp', /^ {2}sl {2}local_address rem_address {3}st tx_queue rx_queue tr tm->when retrnsmt {3}uid {2}timeout inode +\n/],
  ['self/net/unix', /^Num +RefCount Protocol Flags +Type St Inode Path\n/],
])('%s looks as on the host', (path, shape) => {
  const w = new World();
  w.kernel.devices.registerCharacter({ name: 'mem', major: 1, firstMinor: 0, minors: 1, open: () => EIO });
  const ours = path.replace(/^self/, String(w.me.tid));
  expect(readFileSync(`/proc/${path}`, 'latin1')).toMatch(shape);
  expect(w.read(ours)).toMatch(shape);
});

test('stat and status agree with the task', () => {
  const w = new World();
  const child = w.furnish(w.process(rootCredentials(), w.me.group));
  child.name = 'my) app';
  const fields = w
    .read(`${child.tid}/stat`)
    .replace(/^\d+ \(my\) app\) \S+ /, '')
    .split(' ');
  const [ppid, pgrp, session, tty, tpgid] = fields.map(Number);
  expect([ppid, pgrp, session, tty, tpgid]).toEqual([w.me.tid, child.tid, child.tid, 0, -1]);
  const thread = w.thread(child);
  expect(w.read(`${child.tid}/status`)).toContain('Threads:\t2\n');
  expect(w.list(`${child.tid}/task`)).toEqual(['.', '..', String(child.tid), String(thread.tid)]);
  expect(w.read(`${child.tid}/task/${thread.tid}/status`)).toContain(`Tgid:\t${child.tid}\nNgid:\t0\nPid:\t${thread.tid}\n`);
  expect(w.read(`${w.me.tid}/task/${w.me.tid}/children`)).toBe(`${child.tid} `);
  expect(w.find(`${child.tid}/task/${w.me.tid}`)).toBe(ENOENT);
});

test('arguments, environment, comm', () => {
  const w = new World();
  const dir = String(w.me.tid);
  expect(w.read(`${dir}/cmdline`)).toBe('/bin/app\0--flag\0');
  expect(w.read(`${dir}/environ`)).toBe('A=1\0B=2\0');
  expect(w.write(`${dir}/comm`, 'a-name-that-is-too-long\n')).toBe(24);
  expect(w.read(`${dir}/comm`)).toBe('a-name-that-is-\n');
  const other = w.process();
  expect(w.write(`${dir}/comm`, 'x', other)).toBe(EINVAL);
});

test('what needs the right to trace', () => {
  const w = new World();
  const stranger = w.process(USER);
  for (const name of ['environ', 'maps', 'mem', 'auxv', 'io']) expect(w.open(`${w.me.tid}/${name}`, O_RDONLY, stranger)).toBe(EACCES);
  expect((w.find(`${w.me.tid}/exe`) as Inode).readlink(stranger)).toBe(EACCES);
  expect(w.read(`${w.me.tid}/stat`, stranger)).toMatch(/ 1 1 0 0 0 /);
  const own = w.furnish(w.process(USER));
  expect(w.read(`${own.tid}/environ`, w.process(USER))).toBe('A=1\0B=2\0');
  own.mm.dumpable = 0;
  expect(w.open(`${own.tid}/environ`, O_RDONLY, w.process(USER))).toBe(EACCES);
  expect((w.find(String(own.tid)) as Inode).attributes().uid).toBe(0);
});

test('mem reads and writes at addresses', () => {
  const w = new World();
  const at = w.me.memory.place(bytesOf('hello'));
  const file = w.open(`${w.me.tid}/mem`, 2) as FileDescription;
  const bytes = new Uint8Array(5);
  expect(file.impl.pread(new BufferIo(bytes), at, file, w.me)).toBe(5);
  expect(byteString(bytes)).toBe('hello');
  expect(file.impl.pwrite(new BufferIo(bytesOf('J')), at, file, w.me)).toBe(1);
  expect(byteString(w.me.memory.slice(at, 5))).toBe('Jello');
  expect(file.impl.pread(new BufferIo(bytes), 1, file, w.me)).toBe(EIO);
  const beyond = w.me.memory.place(0x2000); // memory that the application has not mapped
  expect(file.impl.pread(new BufferIo(bytes), beyond + 0x1000, file, w.me)).toBe(EIO);
  expect(file.impl.pread(new BufferIo(new Uint8Array(0x2000)), at, file, w.me)).toBe(USER_BASE + 0x1000 - at);
});

test('descriptors: links with modes, fdinfo', () => {
  const w = new World();
  const place = w.kernel.anonymous.path('pipe', 0o010600);
  const file = new FileDescription({ describe: () => 'extra:\t1\n' } as never, O_WRONLY, place);
  file.position = 7;
  w.me.fds.replace(3, file, true);
  const link = w.find(`${w.me.tid}/fd/3`) as Inode;
  expect([link.mode & 0o777, link.readlink(w.me), link.magicTarget(w.me)]).toEqual([0o300, place.dentry.name, place]);
  expect(w.read(`${w.me.tid}/fdinfo/3`)).toMatch(/^pos:\t7\nflags:\t02000001\nmnt_id:\t\d+\nino:\t\d+\nextra:\t1\n$/);
  expect(w.list(`${w.me.tid}/fd`)).toEqual(['.', '..', '3']);
  w.me.fds.remove(3);
  expect(w.find(`${w.me.tid}/fd/3`)).toBe(ENOENT);
  expect(link.readlink(w.me)).toBe(ENOENT);
});

test('self, thread-self and the list of processes', () => {
  const w = new World();
  const thread = w.thread(w.me);
  expect((w.find('self') as Inode).readlink(thread)).toBe(String(w.me.tid));
  expect((w.find('thread-self') as Inode).readlink(thread)).toBe(`${w.me.tid}/task/${thread.tid}`);
  const names = w.list('/');
  expect(names).toContain(String(w.me.tid));
  expect(names).not.toContain(String(thread.tid)); // and yet it can be looked up
  expect(typeof w.find(String(thread.tid))).toBe('object');
  expect(w.find('99999')).toBe(ENOENT);
  expect(w.find('toString')).toBe(ENOENT);
  expect(w.find(`${w.me.tid}/constructor`)).toBe(ENOENT);
});

test('namespaces have names and numbers that differ by namespace', () => {
  const w = new World();
  const dir = `${w.me.tid}/ns`;
  expect(w.list(dir).slice(2)).toEqual([
    'cgroup',
    'ipc',
    'mnt',
    'net',
    'pid',
    'pid_for_children',
    'time',
    'time_for_children',
    'user',
    'uts',
  ]);
  const read = (name: string): string => (w.find(`${dir}/${name}`) as Inode).readlink(w.me) as string;
  expect(read('mnt')).toMatch(/^mnt:\[\d+\]$/);
  expect(read('pid_for_children')).toBe(read('pid'));
  expect(read('uts').slice(4)).not.toBe(read('ipc').slice(4));
});

test('knobs: bounds, privileges, and reading again', () => {
  const w = new World();
  expect(w.write('sys/net/core/somaxconn', '128\n')).toBe(4);
  expect(w.read('sys/net/core/somaxconn')).toBe('128\n');
  expect(w.write('sys/net/core/somaxconn', '70000\n')).toBe(EINVAL);
  expect(w.write('sys/net/core/somaxconn', 'x')).toBe(EINVAL);
  expect(w.write('sys/net/core/somaxconn', '1', w.process(USER))).toBe(EACCES);
  expect(presetSysctl(w.kernel, w.me.namespaces.net, 'net.ipv4.ip_unprivileged_port_start', '0')).toBe(true);
  expect(w.read('sys/net/ipv4/ip_unprivileged_port_start')).toBe('0\n');
  expect([
    presetSysctl(w.kernel, w.me.namespaces.net, 'no.such', '0'),
    presetSysctl(w.kernel, w.me.namespaces.net, 'vm.swappiness', '900'),
  ]).toEqual([false, false]);
  expect(w.write('sys/kernel/ostype', 'x')).toBe(EIO);
  expect(w.write('sys/kernel/hostname', 'new-name\n')).toBe(9);
  expect(w.me.namespaces.uts.nodename).toBe('new-name');
  expect(w.write(`${w.me.tid}/oom_score_adj`, '-500')).toBe(4);
  expect(w.read(`${w.me.tid}/oom_adj`)).toBe('-8\n');
  const apart = w.process();
  apart.namespaces = { ...apart.namespaces, net: new NetNamespace(77) };
  expect(w.read('sys/net/core/somaxconn', apart)).toBe('4096\n'); // another network's
  expect(w.write('sys/net/core/somaxconn', '7', apart)).toBe(1);
  expect(w.read('sys/net/core/somaxconn')).toBe('128\n');
  const again = new ProcFilesystem(99, w.kernel, w.kernel.rootPidNamespace);
  expect(again.root.lookup('sys')).not.toBe(w.fs.root.lookup('sys')); // and yet the same values
});

test('one open file shows one state until it is read from the start again', () => {
  const w = new World();
  const file = w.open('uptime') as FileDescription;
  const piece = (): string => {
    const bytes = new Uint8Array(4);
    return byteString(bytes, 0, file.impl.read(new BufferIo(bytes), file, w.me) as number);
  };
  const first = piece();
  w.advance(50_000_000_000);
  expect(first + piece() + piece()).toMatch(/^1000\.00/);
  file.impl.seek(file, 0, 0);
  expect(piece()).toBe('1050');
});

test('cpuinfo counts the sandbox’s processors', () => {
  const w = new World();
  w.kernel.system = { ...w.kernel.system, cpus: [0, 1, 2], possibleCpus: 3 };
  const text = w.read('cpuinfo');
  expect(text.match(/^processor\t: \d$/gm)).toEqual(['processor\t: 0', 'processor\t: 1', 'processor\t: 2']);
  expect(text.match(/^siblings\t: 3$/gm)?.length).toBe(3);
});
