/** procfs (proc(5)): one instance a mount, about one pid namespace. */
import { ENOENT, type Errno } from '../../../abi/errno.ts';
import { direntType, S_IFDIR } from '../../../abi/stat.ts';
import type { ByteString } from '../../../lib/byte_string.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import type { PidNamespace } from '../../kernel/pid_namespace.ts';
import type { Task } from '../../kernel/task.ts';
import type { Inode } from '../../vfs/inode.ts';
import { type Entry, LazyDirectory, StaticDirectory } from '../synthetic/directory.ts';
import { SyntheticFile, SyntheticLink } from '../synthetic/file.ts';
import { SyntheticFilesystem } from '../synthetic/filesystem.ts';
import { FIXED_FILES, SYSTEM_FILES } from './root_files.ts';
import { buildSysTree } from './sys_tree.ts';
import { msgText, semText, shmText } from './sysvipc.ts';
import { TaskDirectory } from './task_directory.ts';
import { taskIno } from './task_inode.ts';

const PROC_SUPER_MAGIC = 0x9fa0;

/** Waiting for resources is not measured. */
const NO_PRESSURE = 'some avg10=0.00 avg60=0.00 avg300=0.00 total=0\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n';

export class ProcFilesystem extends SyntheticFilesystem {
  readonly type = 'proc';
  protected readonly magic = PROC_SUPER_MAGIC;
  /** A name that no look-up finds cannot be made either. */
  override readonly refusal = ENOENT;
  readonly root: ProcRoot;
  readonly pidNamespace: PidNamespace;

  constructor(dev: number, kernel: Kernel, pidNamespace: PidNamespace) {
    super(dev, kernel);
    this.pidNamespace = pidNamespace;
    this.root = new ProcRoot(this);
    this.fill(kernel);
  }

  /** The task of a decimal number, or null. */
  taskNamed(name: ByteString): Task | null {
    return /^[1-9]\d{0,6}$/.test(name) ? (this.pidNamespace.tasks.get(Number(name)) ?? null) : null;
  }

  private fill(kernel: Kernel): void {
    const { root, pidNamespace } = this;
    for (const [name, text] of Object.entries(FIXED_FILES)) root.add(name, new SyntheticFile(this, () => text));
    for (const [name, make] of Object.entries(SYSTEM_FILES))
      root.add(name, new SyntheticFile(this, (reader) => make(kernel, pidNamespace, reader)));
    root.add('mounts', new SyntheticLink(this, 'self/mounts'));
    root.add('net', new SyntheticLink(this, 'self/net'));
    root.add('self', new SyntheticLink(this, (reader) => numberOf(reader, pidNamespace, false)));
    root.add('thread-self', new SyntheticLink(this, (reader) => numberOf(reader, pidNamespace, true)));
    for (const name of ['driver', 'fs', 'bus', 'irq', 'tty']) root.add(name, new StaticDirectory(this));
    // Masked by container runtimes: they must be there to be mounted over.
    for (const name of ['acpi', 'scsi']) root.add(name, new StaticDirectory(this));
    for (const name of ['kcore', 'keys', 'key-users', 'latency_stats', 'timer_list', 'sched_debug']) {
      root.add(name, new SyntheticFile(this, () => '', null, 0o400));
    }
    root.add(
      'sysrq-trigger',
      new SyntheticFile(
        this,
        () => '',
        () => 0,
        0o200,
      ),
    );
    const sysvipc = root.add('sysvipc', new StaticDirectory(this));
    for (const [name, make] of [
      ['shm', shmText],
      ['sem', semText],
      ['msg', msgText],
    ] as const)
      sysvipc.add(name, new SyntheticFile(this, make));
    const pressure = root.add('pressure', new StaticDirectory(this));
    for (const name of ['cpu', 'io', 'memory'])
      pressure.add(
        name,
        new SyntheticFile(
          this,
          () => NO_PRESSURE,
          () => 0,
        ),
      );
    root.add('sys', new LazyDirectory(this, (sys) => buildSysTree(sys, kernel)));
  }
}

function numberOf(reader: Task | null, ns: PidNamespace, thread: boolean): ByteString | Errno {
  const pid = reader?.group.idIn(ns) ?? 0;
  if (reader === null || pid === 0) return ENOENT;
  return thread ? `${pid}/task/${reader.idIn(ns)}` : String(pid);
}

class ProcRoot extends StaticDirectory {
  override readonly fs: ProcFilesystem;

  constructor(fs: ProcFilesystem) {
    super(fs);
    this.fs = fs;
  }
  override *entries(): Iterable<Entry> {
    yield* super.entries();
    const { tasks } = this.fs.pidNamespace;
    const leaders = [...tasks].filter(([, task]) => task.group.leader === task).sort(([a], [b]) => a - b);
    for (const [pid, task] of leaders) yield { name: String(pid), ino: taskIno(task.tid, 0, false), type: direntType(S_IFDIR) };
  }
  override lookup(name: ByteString): Inode | Errno {
    const known = this.get(name);
    if (known !== undefined) return known;
    const task = this.fs.taskNamed(name);
    return task === null ? ENOENT : new TaskDirectory(this.fs, task, false);
  }
  protected override get links(): number {
    return super.links + this.fs.pidNamespace.tasks.size;
  }
}
