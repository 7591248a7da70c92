/** The plain files of /proc/PID: name → permissions and how the text is made (proc(5)). */
import { EACCES, EINVAL, EPERM } from '../../../abi/errno.ts';
import { groupCpuTimes } from '../../kernel/cpu_time.ts';
import { CAP_AUDIT_CONTROL, CAP_SYS_NICE, CAP_SYS_RESOURCE, hasCap } from '../../kernel/credentials.ts';
import type { Task } from '../../kernel/task.ts';
import { offsetsText, writeOffsets } from '../../kernel/time_namespace.ts';
import { idMapText, type MapKind, writeIdMap, writeSetgroups } from '../../kernel/user_namespace_change.ts';
import { mountInfoText, mountStatsText, mountsText } from '../../vfs/mount_info.ts';
import { parseKnob } from '../synthetic/file.ts';
import type { TaskFile } from './task_inode.ts';
import { mapsText, numaMapsText, smapsRollupText, smapsText } from './task_maps.ts';
import { cmdline, environ } from './task_memory.ts';
import { limitsText, statmText, statText, syscallText } from './task_stat.ts';
import { statusText } from './task_status.ts';
import { memoryOf } from './task_view.ts';

/** Longest comm, without NUL. */
const NAME_MAX = 15;
const OOM_ADJ_MAX = 1000;
const UNSET_ID = 0xffff_ffff;

/** A thread of the same process may rename it; nobody else. */
function writeName(target: Task, text: string, writer: Task): number {
  if (writer.group !== target.group) return EINVAL;
  target.name = text.replace(/[\n\0].*$/s, '').slice(0, NAME_MAX);
  return 0;
}

function writeOomScoreAdj(target: Task, text: string, writer: Task): number {
  const value = parseKnob(text);
  if (value === null || Math.abs(value) > OOM_ADJ_MAX) return EINVAL;
  if (value < target.group.oomScoreAdj && !hasCap(writer.creds, CAP_SYS_RESOURCE)) return EACCES;
  target.group.setOomScoreAdj(value);
  return 0;
}

/** POSIX timers: where their signals go, and by which clock. */
function timersText(task: Task): string {
  return [...task.group.timers.posix].map(([id, timer]) => `ID: ${id}\n${timer.describe()}`).join('');
}

/** The older scale, -17 to 15. */
function readOomAdj(target: Task): string {
  const { oomScoreAdj } = target.group;
  return `${oomScoreAdj === OOM_ADJ_MAX ? 15 : Math.trunc((oomScoreAdj * 17) / OOM_ADJ_MAX)}\n`;
}
function writeOomAdj(target: Task, text: string, writer: Task): number {
  const value = parseKnob(text);
  if (value === null || value < -17 || value > 15) return EINVAL;
  const scaled = value === 15 ? OOM_ADJ_MAX : Math.trunc((value * OOM_ADJ_MAX) / 17);
  return writeOomScoreAdj(target, String(scaled), writer);
}

/** Badness as the OOM killer scales it: memory in use by total, plus the adjustment. */
function oomScore(target: Task): string {
  const mm = memoryOf(target);
  const used = mm === null ? 0 : (mm.space.resident().total / target.kernel.system.memory) * 1000;
  const points = ((1000 + target.group.oomScoreAdj + used) * 2) / 3;
  return `${Math.max(0, Math.min(2000, Math.floor(points)))}\n`;
}

function writeLoginUid(target: Task, text: string, writer: Task): number {
  const value = parseKnob(text);
  if (value === null || value < 0 || value > UNSET_ID) return EINVAL;
  if (writer.group !== target.group) return EPERM;
  if (target.group.loginUid !== UNSET_ID && !hasCap(writer.creds, CAP_AUDIT_CONTROL)) return EPERM;
  target.group.loginUid = value;
  return 0;
}

function writeTimerSlack(target: Task, text: string, writer: Task): number {
  const value = parseKnob(text);
  if (value === null || value < 0) return EINVAL;
  if (target.group !== writer.group && !hasCap(writer.creds, CAP_SYS_NICE)) return EPERM;
  target.timerSlack = value === 0 ? 50_000 : value;
  return 0;
}

/** What goes to storage is the host's: not known here. */
function ioText(task: Task): string {
  const { rchar, wchar, syscr, syscw } = task.group.io;
  return `rchar: ${rchar}\nwchar: ${wchar}\nsyscr: ${syscr}\nsyscw: ${syscw}\nread_bytes: 0\nwrite_bytes: 0\ncancelled_write_bytes: 0\n`;
}
/** Project ids as they are. */
const ID_MAP = `${'0'.padStart(10)} ${'0'.padStart(10)} ${String(UNSET_ID).padStart(10)}\n`;
const RO = 0o444;
const OWNER_RO = 0o400;
const RW = 0o644;

function fixed(text: string, mode = RO): TaskFile {
  return { mode, read: () => text };
}
/** A setting that has no effect here. */
function accepted(text: string, mode: number): TaskFile {
  return { mode, read: () => text, write: () => 0 };
}
function idMap(kind: MapKind): TaskFile {
  return {
    mode: RW,
    read: (t, reader) => idMapText(t.creds.namespace, kind, reader),
    write: (t, text, writer, opener) => writeIdMap(t.creds.namespace, kind, text, writer, opener),
  };
}
function refused(text: string): TaskFile {
  return { mode: RW, read: () => text, write: () => EPERM };
}

/** Files of processes and of threads. */
export const TASK_FILES: Readonly<Record<string, TaskFile>> = {
  auxv: { mode: OWNER_RO, secret: true, read: (t) => memoryOf(t)?.auxv ?? '' },
  cgroup: { mode: RO, read: (t) => `0::${t.group.container.cgroupPath}\n` },
  clear_refs: { mode: 0o200, read: () => EACCES, write: () => 0 },
  cmdline: { mode: RO, read: (t) => cmdline(t) },
  comm: { mode: RW, read: (t) => `${t.name}\n`, write: writeName },
  cpuset: fixed('/\n'),
  environ: { mode: OWNER_RO, secret: true, read: (t) => environ(t) },
  gid_map: idMap('gids'),
  io: { mode: OWNER_RO, secret: true, read: ioText },
  limits: { mode: RW, read: (t) => limitsText(t) },
  loginuid: { mode: RW, read: (t) => String(t.group.loginUid), write: writeLoginUid },
  maps: { mode: RO, secret: true, read: (t, reader) => mapsText(t, reader.fs.root) },
  mountinfo: { mode: RO, read: (t) => mountInfoText(t.namespaces.mount, t.fs.root) },
  mounts: { mode: RO, read: (t) => mountsText(t.namespaces.mount, t.fs.root) },
  numa_maps: { mode: RO, secret: true, read: (t, reader) => numaMapsText(t, reader.fs.root) },
  oom_adj: { mode: RW, read: readOomAdj, write: writeOomAdj },
  oom_score: { mode: RO, read: oomScore },
  oom_score_adj: { mode: RW, read: (t) => `${t.group.oomScoreAdj}\n`, write: writeOomScoreAdj },
  personality: {
    mode: OWNER_RO,
    secret: true,
    read: (t) => `${t.personality.toString(16).padStart(8, '0')}\n`,
  },
  projid_map: refused(ID_MAP),
  schedstat: {
    mode: RO,
    read: (t) => `${Math.floor(t.state === 'dead' ? 0 : t.thread.cpuTime() + t.systemTime)} 0 ${t.group.dead.voluntarySwitches}\n`,
  },
  sessionid: { mode: RO, read: () => String(UNSET_ID) },
  setgroups: {
    mode: RW,
    read: (t) => (t.creds.namespace.setgroupsAllowed ? 'allow\n' : 'deny\n'),
    write: (t, text, _writer, opener) => writeSetgroups(t.creds.namespace, text, opener),
  },
  smaps: { mode: RO, secret: true, read: (t, reader) => smapsText(t, reader.fs.root) },
  smaps_rollup: { mode: RO, secret: true, read: (t) => smapsRollupText(t) },
  stack: { mode: OWNER_RO, secret: true, read: () => '' },
  statm: { mode: RO, read: (t) => statmText(t) },
  status: { mode: RO, read: (t, reader, fs) => statusText(t, fs.pidNamespace, reader.creds.namespace) },
  syscall: { mode: OWNER_RO, secret: true, read: (t) => syscallText(t) },
  uid_map: idMap('uids'),
  wchan: fixed('0'),
};

/** Only in /proc/PID. */
export const PROCESS_FILES: Readonly<Record<string, TaskFile>> = {
  ...TASK_FILES,
  autogroup: accepted('/autogroup-1 nice 0\n', RW),
  coredump_filter: accepted('00000033\n', RW),
  mountstats: { mode: OWNER_RO, read: (t) => mountStatsText(t.namespaces.mount, t.fs.root) },
  sched: {
    mode: RW,
    read: (t) => {
      const { user, system } = groupCpuTimes(t.group);
      const head = `${t.name} (${t.tid}, #threads: ${t.group.tasks.length})`;
      return `${head}\n${'-'.repeat(67)}\nse.sum_exec_runtime                          : ${((user + system) / 1e6).toFixed(6).padStart(20)}\n`;
    },
    write: () => 0,
  },
  stat: { mode: RO, read: (t, reader, fs) => statText(t, fs.pidNamespace, true, reader) },
  timens_offsets: {
    mode: RW,
    read: (t) => offsetsText(t.namespaces.timeForChildren),
    write: (t, text, writer, opener) => writeOffsets(t.namespaces.timeForChildren, text, writer.kernel, opener),
  },
  timers: { mode: RO, secret: true, read: timersText },
  timerslack_ns: { mode: 0o666, read: (t) => `${t.timerSlack}\n`, write: writeTimerSlack },
};

/** Only in /proc/PID/task/TID. */
export const THREAD_FILES: Readonly<Record<string, TaskFile>> = {
  ...TASK_FILES,
  children: {
    mode: RO,
    read: (t, _reader, fs) => {
      if (t !== t.group.leader) return '';
      return [...t.group.children].map((child) => `${child.idIn(fs.pidNamespace)} `).join('');
    },
  },
  stat: { mode: RO, read: (t, reader, fs) => statText(t, fs.pidNamespace, false, reader) },
};
