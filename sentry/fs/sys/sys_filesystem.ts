/** sysfs (sysfs(5)): processors, memory node, interfaces, and the directories that programs expect. */
import type { Kernel } from '../../kernel/kernel.ts';
import { LazyDirectory, StaticDirectory } from '../synthetic/directory.ts';
import { SyntheticFile, SyntheticLink } from '../synthetic/file.ts';
import { SyntheticFilesystem } from '../synthetic/filesystem.ts';
import { buildCpuTree, buildNode, put } from './cpu_tree.ts';
import { NetClassDirectory } from './net_class.ts';

const SYSFS_MAGIC = 0x62656572;

/** Empty, but looked for: mount points, things to be masked, lists without members. */
const DIRECTORIES = [
  'block',
  'bus',
  'class/block',
  'class/mem',
  'class/tty',
  'dev/block',
  'dev/char',
  'devices/virtual',
  'firmware',
  'fs/bpf',
  'fs/cgroup',
  'fs/fuse/connections',
  'fs/pstore',
  'hypervisor',
  'kernel/config',
  'kernel/debug',
  'kernel/security',
  'kernel/tracing',
  'module',
  'power',
];

export class SysFilesystem extends SyntheticFilesystem {
  readonly type = 'sysfs';
  protected readonly magic = SYSFS_MAGIC;
  readonly root: StaticDirectory;

  constructor(dev: number, kernel: Kernel) {
    super(dev, kernel);
    this.root = new StaticDirectory(this);
    for (const path of DIRECTORIES) this.root.subdirectory(path);
    const system = this.root.subdirectory('devices/system');
    system.add('cpu', new LazyDirectory(this, (directory) => buildCpuTree(directory, kernel)));
    system.add('node', new LazyDirectory(this, (directory) => buildNode(directory, kernel)));
    this.buildKernel();
    this.root.subdirectory('class').add('net', new NetClassDirectory(this, kernel));
    this.root.subdirectory('bus/cpu').add('devices', new SyntheticLink(this, '../../devices/system/cpu'));
  }

  private buildKernel(): void {
    const { root } = this;
    const accepted = (text: string): SyntheticFile =>
      new SyntheticFile(
        this,
        () => `${text}\n`,
        () => 0,
      );
    const huge = root.subdirectory('kernel/mm/transparent_hugepage');
    // The host's settings decide: what is written here has no effect.
    huge.add('enabled', accepted('always [madvise] never'));
    huge.add('defrag', accepted('always defer defer+madvise [madvise] never'));
    huge.add('shmem_enabled', accepted('always within_size advise [never] deny force'));
    huge.add('use_zero_page', accepted('1'));
    put(huge, { hpage_pmd_size: '2097152' });
    put(root.subdirectory('kernel/mm/hugepages/hugepages-2048kB'), {
      free_hugepages: '0',
      nr_hugepages: '0',
      nr_overcommit_hugepages: '0',
      resv_hugepages: '0',
      surplus_hugepages: '0',
    });
    put(root.subdirectory('kernel/mm/ksm'), { run: '0', pages_shared: '0', pages_sharing: '0' });
    put(root.subdirectory('kernel'), { uevent_seqnum: '0', profiling: '0', kexec_loaded: '0', address_bits: '64' });
    put(root.subdirectory('devices/system/clocksource/clocksource0'), { available_clocksource: 'tsc', current_clocksource: 'tsc' });
  }
}
