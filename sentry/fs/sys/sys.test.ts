import { ENOENT, EPERM } from '../../../abi/errno.ts';
import { byteString, bytesOf } from '../../../lib/byte_string.ts';
import { NO_LIMITS } from '../../kernel/cgroup_limits.ts';
import { FakeMachine, type FakeTask } from '../../testing/fake_task.ts';
import { FileDescription, type FileImpl } from '../../vfs/file.ts';
import type { Filesystem, Inode } from '../../vfs/inode.ts';
import { BufferIo } from '../../vfs/io.ts';
import { CgroupFilesystem } from '../cgroup/cgroup_filesystem.ts';
import { ContainerCgroup } from '../cgroup/cgroup_provider.ts';
import { SysFilesystem } from './sys_filesystem.ts';

class World extends FakeMachine {
  readonly me: FakeTask;
  readonly sys: SysFilesystem;
  readonly cgroup: CgroupFilesystem;

  constructor(cpus: number) {
    super();
    this.kernel.system = { ...this.kernel.system, cpus: Array.from({ length: cpus }, (_, i) => i), possibleCpus: cpus };
    this.me = this.process();
    Object.assign(this.me.memory, { resident: () => ({ total: 1 << 20, shared: 0 }) });
    this.container.processes.add(this.me.group);
    this.sys = new SysFilesystem(1, this.kernel);
    this.container.limits = { ...NO_LIMITS, memory: 512 << 20, cpuQuota: 150_000, pids: 100 };
    this.cgroup = new CgroupFilesystem(2, this.kernel, this.container, new ContainerCgroup(this.container));
  }
  find(fs: Filesystem, path: string): Inode | number {
    let at: Inode | number = fs.root;
    for (const name of path.split('/')) {
      if (typeof at === 'number') return at;
      at = at.lookup(name, this.me);
    }
    return at;
  }
  open(fs: Filesystem, path: string): FileDescription {
    const inode = this.find(fs, path) as Inode;
    return new FileDescription(inode.open(0, { path: {} as never, creds: this.me.creds, task: this.me }) as FileImpl, 2);
  }
  read(fs: Filesystem, path: string): string | number {
    const bytes = new Uint8Array(4096);
    const file = this.open(fs, path);
    const n = file.impl.read(new BufferIo(bytes), file, this.me) as number;
    return n < 0 ? n : byteString(bytes, 0, n);
  }
  list(fs: Filesystem, path: string): string[] {
    const file = this.open(fs, path);
    const names: string[] = [];
    file.impl.readdir(file, (name) => names.push(name) > 0, this.me);
    return names.slice(2);
  }
}

test('processors as lscpu and the C library read them', () => {
  const w = new World(40);
  expect(w.read(w.sys, 'devices/system/cpu/online')).toBe('0-39\n');
  expect(w.list(w.sys, 'devices/system/cpu').filter((n) => /^cpu\d+$/.test(n)).length).toBe(40);
  expect(w.read(w.sys, 'devices/system/cpu/cpu33/topology/thread_siblings')).toBe('00000002,00000000\n');
  expect(w.read(w.sys, 'devices/system/cpu/cpu0/topology/core_siblings')).toBe('000000ff,ffffffff\n');
  expect(w.read(w.sys, 'devices/system/cpu/cpu1/cache/index0/size')).toBe('32K\n');
  expect(w.read(w.sys, 'devices/system/node/node0/cpulist')).toBe('0-39\n');
  const one = new World(1);
  expect(one.read(one.sys, 'devices/system/cpu/possible')).toBe('0\n');
  expect(one.read(one.sys, 'devices/system/cpu/cpu0/topology/thread_siblings')).toBe('1\n');
});

test('interfaces come from the owner of the network', () => {
  const w = new World(1);
  expect(w.list(w.sys, 'class/net')).toEqual(['lo']);
  expect(w.read(w.sys, 'class/net/lo/mtu')).toBe('65536\n');
  expect(w.read(w.sys, 'class/net/lo/speed')).toBe(-22);
  w.kernel.netDevices = () => [
    {
      name: 'eth0',
      index: 2,
      address: '02:42:ac:11:00:02',
      mtu: 1500,
      type: 1,
      flags: 0x11043,
      state: 6,
      queueLength: 1000,
      statistics: { rx_bytes: 7 },
    },
  ];
  expect(w.list(w.sys, 'class/net')).toEqual(['eth0']);
  expect(w.find(w.sys, 'class/net/lo')).toBe(ENOENT);
  expect(w.read(w.sys, 'class/net/eth0/address')).toBe('02:42:ac:11:00:02\n');
  expect([w.read(w.sys, 'class/net/eth0/statistics/rx_bytes'), w.read(w.sys, 'class/net/eth0/operstate')]).toEqual(['7\n', 'up\n']);
});

test('places that must exist to be mounted on or masked', () => {
  const w = new World(1);
  for (const path of ['fs/cgroup', 'firmware', 'block', 'kernel/mm/transparent_hugepage/enabled'])
    expect(typeof w.find(w.sys, path)).toBe('object');
});

test('cgroup2: limits, use, members', () => {
  const w = new World(2);
  const { cgroup } = w;
  expect(w.read(cgroup, 'memory.max')).toBe(`${512 << 20}\n`);
  expect(w.read(cgroup, 'memory.current')).toBe(`${1 << 20}\n`);
  expect(w.read(cgroup, 'cpu.max')).toBe('150000 100000\n');
  expect([w.read(cgroup, 'pids.max'), w.read(cgroup, 'pids.current')]).toEqual(['100\n', '1\n']);
  expect(w.read(cgroup, 'cgroup.procs')).toBe(`${w.me.tid}\n`);
  w.thread(w.me);
  expect(w.read(cgroup, 'pids.current')).toBe('2\n');
  w.me.fake.used = 3_000_000;
  expect(w.read(cgroup, 'cpu.stat')).toMatch(/^usage_usec \d+\nuser_usec 3000\nsystem_usec 0\n/);
  expect(w.read(cgroup, 'cpuset.cpus.effective')).toBe('0-1\n');
  const file = w.open(cgroup, 'memory.max');
  expect(file.impl.write(new BufferIo(bytesOf('max')), file, w.me)).toBe(EPERM);
});
