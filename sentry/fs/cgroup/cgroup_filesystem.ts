/**
 * cgroup2 (cgroups(7)) as a container sees it: its own group is the root of the mount. A view: limits are set from outside, and
 * groups below cannot be made.
 */
import { EPERM } from '../../../abi/errno.ts';
import type { Container } from '../../kernel/container.ts';
import { cpuListText, cpuSetOf } from '../../kernel/cpu_set.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import type { Task } from '../../kernel/task.ts';
import { StaticDirectory } from '../synthetic/directory.ts';
import { type Content, SyntheticFile } from '../synthetic/file.ts';
import { SyntheticFilesystem } from '../synthetic/filesystem.ts';
import type { CgroupProvider } from './cgroup_provider.ts';

const CGROUP2_SUPER_MAGIC = 0x63677270;
const CONTROLLERS = 'cpuset cpu io memory pids';

function orMax(value: number | null): string {
  return value === null ? 'max' : String(value);
}

/** Pressure is not measured. */
const PRESSURE = 'some avg10=0.00 avg60=0.00 avg300=0.00 total=0\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n';

export class CgroupFilesystem extends SyntheticFilesystem {
  readonly type = 'cgroup2';
  protected readonly magic = CGROUP2_SUPER_MAGIC;
  readonly root: StaticDirectory;
  private readonly kernel: Kernel;
  private readonly container: Container;
  private readonly provider: CgroupProvider;

  constructor(dev: number, kernel: Kernel, container: Container, provider: CgroupProvider) {
    super(dev, kernel);
    this.kernel = kernel;
    this.container = container;
    this.provider = provider;
    this.root = new StaticDirectory(this, 0o755);
    this.addCore();
    this.addMemory();
    this.addCpu();
    this.addPidsAndIo();
  }
  override options(): string {
    return 'nsdelegate,memory_recursiveprot';
  }

  /** Read only. */
  private show(name: string, make: (reader: Task) => Content): void {
    this.root.add(name, new SyntheticFile(this, make));
  }
  /** A limit or command that only the outside may change. */
  private setting(name: string, make: (reader: Task) => Content): void {
    this.root.add(name, new SyntheticFile(this, make, () => EPERM));
  }

  private addCore(): void {
    this.show('cgroup.controllers', () => `${CONTROLLERS}\n`);
    this.show('cgroup.events', () => `populated ${this.container.processes.size > 0 ? 1 : 0}\nfrozen ${this.container.paused ? 1 : 0}\n`);
    this.setting('cgroup.freeze', () => `${this.container.paused ? 1 : 0}\n`);
    this.setting('cgroup.max.depth', () => 'max\n');
    this.setting('cgroup.max.descendants', () => 'max\n');
    this.setting('cgroup.procs', (reader) => this.ids(reader, false));
    this.show('cgroup.stat', () => 'nr_descendants 0\nnr_dying_descendants 0\n');
    this.setting('cgroup.subtree_control', () => '');
    this.setting('cgroup.threads', (reader) => this.ids(reader, true));
    this.setting('cgroup.type', () => 'domain\n');
  }

  /** Processes or threads, as the reader's pid namespace numbers them. */
  private ids(reader: Task, threads: boolean): string {
    const ns = reader.pidNamespace;
    const ids: number[] = [];
    for (const process of this.container.processes) {
      if (process.zombie) continue;
      for (const task of threads ? process.tasks : [process.leader]) ids.push(task.idIn(ns));
    }
    return ids.map((id) => `${id}\n`).join('');
  }

  private addMemory(): void {
    const { provider } = this;
    this.show('memory.current', () => `${provider.memoryCurrent()}\n`);
    this.show('memory.peak', () => `${provider.memoryPeak()}\n`);
    this.setting('memory.max', () => `${orMax(provider.limits().memory)}\n`);
    this.setting('memory.high', () => 'max\n');
    this.setting('memory.low', () => '0\n');
    this.setting('memory.min', () => '0\n');
    this.setting('memory.oom.group', () => '0\n');
    this.show('memory.swap.current', () => '0\n');
    this.setting('memory.swap.max', () => `${orMax(provider.limits().swap)}\n`);
    this.setting('memory.swap.high', () => 'max\n');
    this.show('memory.swap.events', () => 'high 0\nmax 0\nfail 0\n');
    const events = (): string => `low 0\nhigh 0\nmax 0\noom ${provider.oomKills()}\noom_kill ${provider.oomKills()}\noom_group_kill 0\n`;
    this.show('memory.events', events);
    this.show('memory.events.local', events);
    this.show('memory.stat', () => this.memoryStat());
    this.show('memory.numa_stat', () => `anon N0=${provider.memoryCurrent()}\nfile N0=0\n`);
    this.show('memory.pressure', () => PRESSURE);
  }

  private memoryStat(): string {
    const anon = this.provider.memoryCurrent();
    const values: Readonly<Record<string, number>> = { anon, active_anon: anon, inactive_anon: 0 };
    const zero = ['file', 'kernel', 'kernel_stack', 'pagetables', 'sock', 'shmem', 'file_mapped', 'file_dirty', 'file_writeback'];
    const more = ['inactive_file', 'active_file', 'unevictable', 'slab_reclaimable', 'slab_unreclaimable', 'slab', 'pgfault', 'pgmajfault'];
    const rows = [...Object.entries(values), ...[...zero, ...more].map((name) => [name, 0] as const)];
    return rows.map(([name, value]) => `${name} ${value}\n`).join('');
  }

  private addCpu(): void {
    const { provider, kernel } = this;
    this.setting('cpu.max', () => `${orMax(provider.limits().cpuQuota)} ${provider.limits().cpuPeriod}\n`);
    this.setting('cpu.max.burst', () => '0\n');
    this.setting('cpu.weight', () => `${provider.limits().cpuWeight}\n`);
    this.setting('cpu.weight.nice', () => '0\n');
    this.setting('cpu.idle', () => '0\n');
    this.show('cpu.stat', () => {
      const { user, system } = provider.cpuUsage();
      const times = `usage_usec ${user + system}\nuser_usec ${user}\nsystem_usec ${system}\n`;
      return `${times}nr_periods 0\nnr_throttled 0\nthrottled_usec 0\nnr_bursts 0\nburst_usec 0\n`;
    });
    this.show('cpu.pressure', () => PRESSURE);
    const cpus = (): string => `${cpuListText(cpuSetOf(kernel.system.cpus))}\n`;
    this.setting('cpuset.cpus', () => '\n');
    this.show('cpuset.cpus.effective', cpus);
    this.setting('cpuset.cpus.partition', () => 'member\n');
    this.setting('cpuset.mems', () => '\n');
    this.show('cpuset.mems.effective', () => '0\n');
  }

  private addPidsAndIo(): void {
    const { container } = this;
    this.show('pids.current', () => `${container.taskCount}\n`);
    this.show('pids.peak', () => `${container.taskCount}\n`);
    this.setting('pids.max', () => `${orMax(this.provider.limits().pids)}\n`);
    this.show('pids.events', () => `max ${container.tasksRefused}\n`);
    this.show('io.stat', () => '');
    this.setting('io.max', () => '');
    this.setting('io.weight', () => 'default 100\n');
    this.show('io.pressure', () => PRESSURE);
  }
}
