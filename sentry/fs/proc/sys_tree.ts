/**
 * /proc/sys (proc_sys(5)): path → value. Knobs that change nothing here keep what was written, for the life of the
 * sandbox or, below net, of the network.
 */
import { EACCES, EINVAL, EPERM, type Errno } from '../../../abi/errno.ts';
import { O_ACCMODE, O_RDONLY } from '../../../abi/fcntl.ts';
import { CAP_LAST_CAP, CAP_NET_ADMIN, CAP_SYS_ADMIN, hasCap, hasCapIn, hasOwnCap } from '../../kernel/credentials.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import type { NetNamespace } from '../../kernel/namespaces.ts';
import { randomUuid } from '../../kernel/system_info.ts';
import type { Task } from '../../kernel/task.ts';
import { KERNEL_OSTYPE, KERNEL_RELEASE, KERNEL_VERSION } from '../../kernel/version.ts';
import { MAX_MAP_COUNT } from '../../mm/memory_map.ts';
import { NR_OPEN } from '../../vfs/fd_table.ts';
import type { FileImpl } from '../../vfs/file.ts';
import type { AccessRule, OpenContext } from '../../vfs/inode.ts';
import { MAY_EXEC } from '../../vfs/permission.ts';
import type { StaticDirectory } from '../synthetic/directory.ts';
import { type Generate, parseKnob, type Store, SyntheticFile } from '../synthetic/file.ts';
import { IPC_LIMITS, SEM_LIMITS } from './sysvipc.ts';

/** Longest host or domain name (uname(2)). */
const UTS_NAME_MAX = 64;

/** A value that only shows. */
const SHOWN: Readonly<Record<string, string | number>> = {
  'fs/aio-max-nr': 65536,
  'fs/aio-nr': 0,
  'fs/file-nr': '1024\t0\t9223372036854775807',
  'fs/inode-nr': '1024\t0',
  'fs/inode-state': '1024\t0\t0\t0\t0\t0\t0',
  'fs/dentry-state': '1024\t512\t45\t0\t0\t0',
  'fs/overflowgid': 65534,
  'fs/overflowuid': 65534,
  'kernel/cap_last_cap': CAP_LAST_CAP,
  'kernel/ngroups_max': 65536,
  'kernel/ostype': KERNEL_OSTYPE,
  'kernel/osrelease': KERNEL_RELEASE,
  'kernel/version': KERNEL_VERSION,
  'kernel/random/entropy_avail': 256,
  'kernel/random/poolsize': 256,
  'kernel/random/urandom_min_reseed_secs': 60,
  'kernel/random/write_wakeup_threshold': 256,
  'kernel/pty/max': 4096,
  'kernel/pty/reserve': 1024,
  'kernel/seccomp/actions_avail': 'kill_process kill_thread trap errno user_notif trace log allow',
  'kernel/tainted': 0,
  'kernel/overflowgid': 65534,
  'kernel/overflowuid': 65534,
  'vm/mmap_min_addr': 65536,
  'vm/nr_hugepages': 0,
  'vm/overcommit_kbytes': 0,
};

/** A number with its bounds: [start, least, most]. Root of the sandbox may write it. */
const NUMBERS: Readonly<Record<string, readonly [start: number, least: number, most: number]>> = {
  'fs/dir-notify-enable': [1, 0, 1],
  'fs/file-max': [2 ** 53 - 1, 0, 2 ** 53 - 1],
  'fs/inotify/max_queued_events': [16384, 0, 2 ** 31 - 1],
  'fs/inotify/max_user_instances': [128, 0, 2 ** 31 - 1],
  'fs/inotify/max_user_watches': [65536, 0, 2 ** 31 - 1],
  'fs/epoll/max_user_watches': [1_000_000, 0, 2 ** 53 - 1],
  'fs/lease-break-time': [45, 0, 2 ** 31 - 1],
  'fs/leases-enable': [1, 0, 1],
  'fs/mount-max': [10_000, 1, 2 ** 31 - 1],
  'fs/mqueue/msg_default': [10, 1, 65536],
  'fs/mqueue/msg_max': [10, 1, 65536],
  'fs/mqueue/msgsize_default': [8192, 128, 16_777_216],
  'fs/mqueue/msgsize_max': [8192, 128, 16_777_216],
  'fs/mqueue/queues_max': [256, 0, 2 ** 31 - 1],
  'fs/nr_open': [NR_OPEN, 64, 2 ** 31 - 64],
  'fs/pipe-max-size': [1_048_576, 4096, 2 ** 31],
  'fs/pipe-user-pages-hard': [0, 0, 2 ** 53 - 1],
  'fs/pipe-user-pages-soft': [16384, 0, 2 ** 53 - 1],
  'fs/protected_fifos': [1, 0, 2],
  'fs/protected_hardlinks': [1, 0, 1],
  'fs/protected_regular': [2, 0, 2],
  'fs/protected_symlinks': [1, 0, 1],
  'fs/suid_dumpable': [0, 0, 2],
  'kernel/core_uses_pid': [0, 0, 1],
  'kernel/core_pipe_limit': [0, 0, 2 ** 31 - 1],
  'kernel/dmesg_restrict': [1, 0, 1],
  'kernel/hung_task_timeout_secs': [120, 0, 2 ** 31 - 1],
  'kernel/io_uring_disabled': [2, 0, 2],
  'kernel/kptr_restrict': [1, 0, 2],
  'kernel/msgmax': [IPC_LIMITS.msgmax, 0, 2 ** 31 - 1],
  'kernel/msgmnb': [IPC_LIMITS.msgmnb, 0, 2 ** 31 - 1],
  'kernel/msgmni': [IPC_LIMITS.msgmni, 0, 32768],
  'kernel/numa_balancing': [0, 0, 1],
  'kernel/panic': [0, -1, 2 ** 31 - 1],
  'kernel/panic_on_oops': [0, 0, 1],
  'kernel/perf_event_paranoid': [4, -1, 4],
  'kernel/pid_max': [4_194_304, 301, 4_194_304],
  'kernel/randomize_va_space': [2, 0, 2],
  'kernel/sched_autogroup_enabled': [0, 0, 1],
  'kernel/sched_child_runs_first': [0, 0, 1],
  'kernel/sched_rr_timeslice_ms': [100, 1, 2 ** 31 - 1],
  'kernel/sched_rt_period_us': [1_000_000, 1, 2 ** 31 - 1],
  'kernel/sched_rt_runtime_us': [950_000, -1, 2 ** 31 - 1],
  'kernel/shm_rmid_forced': [0, 0, 1],
  'kernel/shmall': [2 ** 52, 0, 2 ** 53 - 1],
  'kernel/shmmax': [IPC_LIMITS.shmmax, 0, 2 ** 53 - 1],
  'kernel/shmmni': [IPC_LIMITS.shmmni, 0, 32768],
  'kernel/sysrq': [0, 0, 511],
  'kernel/unprivileged_bpf_disabled': [2, 0, 2],
  'kernel/yama/ptrace_scope': [0, 0, 3],
  'kernel/keys/maxkeys': [200, 0, 2 ** 31 - 1],
  'kernel/keys/maxbytes': [20000, 0, 2 ** 31 - 1],
  'net/core/netdev_max_backlog': [1000, 0, 2 ** 31 - 1],
  'net/core/optmem_max': [131_072, 0, 2 ** 31 - 1],
  'net/core/rmem_default': [212_992, 256, 2 ** 31 - 1],
  'net/core/rmem_max': [212_992, 256, 2 ** 31 - 1],
  'net/core/somaxconn': [4096, 0, 65535],
  'net/core/wmem_default': [212_992, 256, 2 ** 31 - 1],
  'net/core/wmem_max': [212_992, 256, 2 ** 31 - 1],
  'net/ipv4/conf/all/forwarding': [0, 0, 1],
  'net/ipv4/conf/all/rp_filter': [0, 0, 2],
  'net/ipv4/conf/default/forwarding': [0, 0, 1],
  'net/ipv4/conf/default/rp_filter': [0, 0, 2],
  'net/ipv4/icmp_echo_ignore_all': [0, 0, 1],
  'net/ipv4/ip_default_ttl': [64, 1, 255],
  'net/ipv4/ip_forward': [0, 0, 1],
  'net/ipv4/ip_nonlocal_bind': [0, 0, 1],
  'net/ipv4/ip_unprivileged_port_start': [1024, 0, 65535],
  'net/ipv4/tcp_abort_on_overflow': [0, 0, 1],
  'net/ipv4/tcp_dsack': [1, 0, 1],
  'net/ipv4/tcp_ecn': [2, 0, 2],
  'net/ipv4/tcp_fastopen': [1, 0, 2 ** 31 - 1],
  'net/ipv4/tcp_fin_timeout': [60, 1, 2 ** 31 - 1],
  'net/ipv4/tcp_keepalive_intvl': [75, 1, 32767],
  'net/ipv4/tcp_keepalive_probes': [9, 1, 127],
  'net/ipv4/tcp_keepalive_time': [7200, 1, 32767],
  'net/ipv4/tcp_max_syn_backlog': [1024, 0, 2 ** 31 - 1],
  'net/ipv4/tcp_max_tw_buckets': [16384, 0, 2 ** 31 - 1],
  'net/ipv4/tcp_moderate_rcvbuf': [1, 0, 1],
  'net/ipv4/tcp_mtu_probing': [0, 0, 2],
  'net/ipv4/tcp_retries1': [3, 0, 255],
  'net/ipv4/tcp_retries2': [15, 8, 2 ** 31 - 1],
  'net/ipv4/tcp_rfc1337': [0, 0, 1],
  'net/ipv4/tcp_sack': [1, 0, 1],
  'net/ipv4/tcp_slow_start_after_idle': [1, 0, 1],
  'net/ipv4/tcp_syn_retries': [6, 1, 127],
  'net/ipv4/tcp_synack_retries': [5, 0, 255],
  'net/ipv4/tcp_syncookies': [1, 0, 2],
  'net/ipv4/tcp_timestamps': [1, 0, 2],
  'net/ipv4/tcp_tw_reuse': [2, 0, 2],
  'net/ipv4/tcp_window_scaling': [1, 0, 1],
  'net/ipv6/bindv6only': [0, 0, 1],
  'net/ipv6/conf/all/disable_ipv6': [0, 0, 1],
  'net/ipv6/conf/all/forwarding': [0, 0, 1],
  'net/ipv6/conf/default/disable_ipv6': [0, 0, 1],
  'net/ipv6/conf/lo/disable_ipv6': [0, 0, 1],
  'net/unix/max_dgram_qlen': [512, 0, 2 ** 31 - 1],
  'vm/dirty_background_ratio': [10, 0, 100],
  'vm/dirty_expire_centisecs': [3000, 0, 2 ** 31 - 1],
  'vm/dirty_ratio': [20, 0, 100],
  'vm/dirty_writeback_centisecs': [500, 0, 2 ** 31 - 1],
  'vm/drop_caches': [0, 1, 4],
  'vm/max_map_count': [MAX_MAP_COUNT, 0, 2 ** 31 - 1],
  'vm/min_free_kbytes': [67584, 0, 2 ** 31 - 1],
  'vm/oom_kill_allocating_task': [0, 0, 1],
  'vm/overcommit_memory': [0, 0, 2],
  'vm/overcommit_ratio': [50, 0, 2 ** 31 - 1],
  'vm/panic_on_oom': [0, 0, 2],
  'vm/swappiness': [60, 0, 200],
  'vm/vfs_cache_pressure': [100, 0, 2 ** 31 - 1],
  'vm/zone_reclaim_mode': [0, 0, 7],
};

/** Text knobs with their start and the most bytes they take. */
const TEXTS: Readonly<Record<string, readonly [start: string, most: number]>> = {
  'kernel/core_pattern': ['core', 127],
  'kernel/modprobe': ['/sbin/modprobe', 255],
  'kernel/printk': ['4\t4\t1\t7', 64],
  'kernel/sem': [SEM_LIMITS, 64],
  'net/ipv4/ip_local_port_range': ['32768\t60999', 32],
  'net/ipv4/ip_local_reserved_ports': ['', 4095],
  'net/ipv4/ping_group_range': ['0\t2147483647', 32],
  'net/ipv4/tcp_allowed_congestion_control': ['reno cubic', 64],
  'net/ipv4/tcp_available_congestion_control': ['reno cubic', 64],
  'net/ipv4/tcp_congestion_control': ['cubic', 16],
  'net/ipv4/tcp_mem': ['188460\t251282\t376920', 64],
  'net/ipv4/tcp_rmem': ['4096\t131072\t6291456', 64],
  'net/ipv4/tcp_wmem': ['4096\t16384\t4194304', 64],
  'net/ipv4/udp_mem': ['376923\t502565\t753846', 64],
};

function isOfNetwork(path: string): boolean {
  return path.startsWith('net/');
}
/** The knobs of a network are those of the reader's. */
function valuesFor(path: string, task: Task): Map<string, string> {
  return isOfNetwork(path) ? task.namespaces.net.sysctl : task.kernel.sysctl;
}
function mayWrite(path: string, { creds, namespaces }: Task): boolean {
  return hasCap(creds, CAP_SYS_ADMIN) || (isOfNetwork(path) && hasCapIn(creds, CAP_NET_ADMIN, namespaces.net.owner));
}
/** Whoever has power over a network of his own may try its knobs; whether the network that he is in is his is asked as he opens. */
const NETWORK_RULE: AccessRule = {
  grants: (inode, creds, mask) => {
    if (creds.namespace.parent !== null && hasOwnCap(creds, CAP_NET_ADMIN)) return (mask & MAY_EXEC) === 0;
    const bits = inode.uid === creds.fsuid ? inode.mode >> 6 : inode.mode;
    return (bits & mask) === mask;
  },
};

class NetworkKnob extends SyntheticFile {
  override accessRule: AccessRule = NETWORK_RULE;
  override open(flags: number, context: OpenContext): FileImpl | Errno {
    const { task, creds } = context;
    const writes = (flags & O_ACCMODE) !== O_RDONLY;
    return writes && creds.fsuid !== 0 && task !== null && !mayWrite('net/', task) ? EACCES : super.open(flags, context);
  }
}

function numberKnob(path: string, [start, least, most]: readonly [number, number, number]): [Generate, Store] {
  return [
    (reader) => `${valuesFor(path, reader).get(path) ?? start}\n`,
    (text, writer) => {
      if (!mayWrite(path, writer)) return EPERM;
      const value = parseKnob(text);
      if (value === null || value < least || value > most) return EINVAL;
      valuesFor(path, writer).set(path, String(value));
      return 0;
    },
  ];
}

function textKnob(path: string, [start, most]: readonly [string, number]): [Generate, Store] {
  return [
    (reader) => `${valuesFor(path, reader).get(path) ?? start}\n`,
    (text, writer) => {
      if (!mayWrite(path, writer)) return EPERM;
      const line = text.replace(/[\n\0].*$/s, '');
      if (line.length > most) return EINVAL;
      valuesFor(path, writer).set(path, line);
      return 0;
    },
  ];
}

function utsKnob(field: 'nodename' | 'domainname'): [Generate, Store] {
  return [
    (reader) => `${reader.namespaces.uts[field]}\n`,
    (text, writer) => {
      if (!hasCapIn(writer.creds, CAP_SYS_ADMIN, writer.namespaces.uts.owner)) return EPERM;
      writer.namespaces.uts[field] = text.replace(/[\n\0].*$/s, '').slice(0, UTS_NAME_MAX);
      return 0;
    },
  ];
}

/** linux.sysctl of a specification ("net.core.somaxconn"): as if written at boot. False: no such knob, or not such a value. */
export function presetSysctl(kernel: Kernel, network: NetNamespace, name: string, value: string): boolean {
  const path = name.replaceAll('.', '/');
  const values = isOfNetwork(path) ? network.sysctl : kernel.sysctl;
  if (Object.hasOwn(TEXTS, path)) {
    values.set(path, value);
    return true;
  }
  const number = parseKnob(value);
  if (!Object.hasOwn(NUMBERS, path) || number === null) return false;
  const [, least, most] = NUMBERS[path] as readonly [number, number, number];
  if (number < least || number > most) return false;
  values.set(path, String(number));
  return true;
}

/** Puts the tree below `root`. */
export function buildSysTree(root: StaticDirectory, kernel: Kernel): void {
  const add = (path: string, make: Generate, store: Store | null = null): void => {
    const cut = path.lastIndexOf('/');
    const file = isOfNetwork(path) ? new NetworkKnob(root.fs, make, store) : new SyntheticFile(root.fs, make, store);
    root.subdirectory(path.slice(0, cut)).add(path.slice(cut + 1), file);
  };
  for (const [path, value] of Object.entries(SHOWN)) add(path, () => `${value}\n`);
  for (const [path, bounds] of Object.entries(NUMBERS)) add(path, ...numberKnob(path, bounds));
  for (const [path, bounds] of Object.entries(TEXTS)) add(path, ...textKnob(path, bounds));
  add('kernel/hostname', ...utsKnob('nodename'));
  add('kernel/domainname', ...utsKnob('domainname'));
  add('kernel/random/boot_id', () => `${kernel.system.bootId}\n`);
  add('kernel/random/uuid', () => `${randomUuid(kernel.host)}\n`);
  add('kernel/threads-max', () => `${kernel.maxTasks}\n`);
  add('kernel/ns_last_pid', (reader) => `${reader.pidNamespace.lastPid}\n`);
}
