/** /proc/PID/status (proc_pid_status(5)). */
import { NSIG, SIG_DFL, SIG_IGN } from '../../../abi/signal.ts';
import { cpuListText, cpuMaskText, cpuSetOf } from '../../kernel/cpu_set.ts';
import type { PidNamespace } from '../../kernel/pid_namespace.ts';
import { RLIMIT_SIGPENDING } from '../../kernel/rlimits.ts';
import { type SignalSet, signalBit } from '../../kernel/signal_state.ts';
import type { Task } from '../../kernel/task.ts';
import type { UserNamespace } from '../../kernel/user_namespace.ts';
import { escapedName, memoryOf, memoryUse, parentId, stateOf } from './task_view.ts';

function hex64(value: bigint): string {
  return value.toString(16).padStart(16, '0');
}

/** Numbers in the namespaces from `ns` down. */
function idsFrom(ids: readonly number[], ns: PidNamespace): string {
  return ids.slice(ns.level).join('\t');
}

/** Signals that are ignored and those that are caught. */
export function dispositions(task: Task): { ignored: SignalSet; caught: SignalSet } {
  let ignored = 0n;
  let caught = 0n;
  for (let s = 1; s <= NSIG; s++) {
    const { handler } = task.group.handlers.get(s);
    if (handler === SIG_IGN) ignored |= signalBit(s);
    else if (handler !== SIG_DFL) caught |= signalBit(s);
  }
  return { ignored, caught };
}

/** `ns`: the namespace of the proc mount. */
export function statusText(task: Task, ns: PidNamespace, { uids, gids: groups }: UserNamespace): string {
  const [letter, word] = stateOf(task);
  const { group, creds } = task;
  const gids = `${creds.groups.map((gid) => groups.shown(gid)).join(' ')} `;
  return (
    `Name:\t${escapedName(task)}\n` +
    (task.state === 'dead' ? '' : `Umask:\t${task.fs.umask.toString(8).padStart(4, '0')}\n`) +
    `State:\t${letter} (${word})\n` +
    `Tgid:\t${group.idIn(ns)}\nNgid:\t0\nPid:\t${task.idIn(ns)}\nPPid:\t${parentId(group, ns.level)}\nTracerPid:\t${tracerId(task, ns)}\n` +
    `Uid:\t${[creds.uid, creds.euid, creds.suid, creds.fsuid].map((id) => uids.shown(id)).join('\t')}\n` +
    `Gid:\t${[creds.gid, creds.egid, creds.sgid, creds.fsgid].map((id) => groups.shown(id)).join('\t')}\n` +
    `FDSize:\t${fdSize(task)}\nGroups:\t${gids}\n` +
    `NStgid:\t${idsFrom(group.leader.ids, ns)}\nNSpid:\t${idsFrom(task.ids, ns)}\n` +
    `NSpgid:\t${idsFrom(group.group.ids, ns)}\nNSsid:\t${idsFrom(group.group.session.ids, ns)}\n` +
    memoryText(task) +
    signalText(task) +
    capabilityText(task) +
    cpuText(task)
  );
}

/** 0 without a tracer. */
export function tracerId(task: Task, ns: PidNamespace): number {
  return task.trace?.tracer.idIn(ns) ?? 0;
}

function fdSize(task: Task): number {
  if (task.state === 'dead') return 0;
  let size = 64;
  for (const fd of task.fds.numbers()) while (size <= fd) size *= 2;
  return size;
}

function memoryText(task: Task): string {
  const mm = memoryOf(task);
  if (mm === null) return '';
  const use = memoryUse(task);
  const kb = (name: string, bytes: number): string => `${name}:\t${String(Math.floor(bytes / 1024)).padStart(8)} kB\n`;
  const peak = Math.max(use.resident, task.group.dead.maxResident);
  const anonymous = Math.max(0, use.resident - use.shared);
  return (
    kb('VmPeak', use.size) +
    kb('VmSize', use.size) +
    kb('VmLck', mm.lockedBytes) +
    kb('VmPin', 0) +
    kb('VmHWM', peak) +
    kb('VmRSS', use.resident) +
    kb('RssAnon', anonymous) +
    kb('RssFile', use.resident - anonymous) +
    kb('RssShmem', 0) +
    kb('VmData', use.data) +
    kb('VmStk', use.stack) +
    kb('VmExe', use.text) +
    kb('VmLib', use.libraries) +
    kb('VmPTE', Math.ceil(use.resident / 512 / 4096) * 4096) +
    kb('VmSwap', 0) +
    kb('HugetlbPages', 0) +
    'CoreDumping:\t0\nTHP_enabled:\t1\nuntag_mask:\t0xffffffffffffffff\n'
  );
}

function signalText(task: Task): string {
  const { group } = task;
  const { ignored, caught } = dispositions(task);
  const limit = group.limits.soft(RLIMIT_SIGPENDING);
  const queued = group.pending.count + group.tasks.reduce((n, t) => n + t.pending.count, 0);
  return (
    `Threads:\t${Math.max(1, group.tasks.length)}\n` +
    `SigQ:\t${queued}/${Number.isFinite(limit) ? limit : '18446744073709551615'}\n` +
    `SigPnd:\t${hex64(task.pending.set)}\nShdPnd:\t${hex64(group.pending.set)}\n` +
    `SigBlk:\t${hex64(task.maskNow)}\nSigIgn:\t${hex64(ignored)}\nSigCgt:\t${hex64(caught)}\n`
  );
}

function capabilityText(task: Task): string {
  const { caps, noNewPrivs } = task.creds;
  const filters = filterCount(task);
  return (
    `CapInh:\t${hex64(caps.inheritable)}\nCapPrm:\t${hex64(caps.permitted)}\nCapEff:\t${hex64(caps.effective)}\n` +
    `CapBnd:\t${hex64(caps.bounding)}\nCapAmb:\t${hex64(caps.ambient)}\n` +
    `NoNewPrivs:\t${noNewPrivs ? 1 : 0}\nSeccomp:\t${task.seccomp?.mode ?? 0}\nSeccomp_filters:\t${filters}\n` +
    'Speculation_Store_Bypass:\tvulnerable\nSpeculationIndirectBranch:\tconditional enabled\n'
  );
}

function filterCount(task: Task): number {
  let n = 0;
  for (let filter = task.seccomp?.filter ?? null; filter !== null; filter = filter.previous) n++;
  return n;
}

function cpuText(task: Task): string {
  const { system } = task.kernel;
  const allowed = task.affinity ?? cpuSetOf(system.cpus);
  return (
    `Cpus_allowed:\t${cpuMaskText(allowed, system.possibleCpus)}\nCpus_allowed_list:\t${cpuListText(allowed)}\n` +
    'Mems_allowed:\t00000000,00000001\nMems_allowed_list:\t0\n' +
    `voluntary_ctxt_switches:\t${task.group.dead.voluntarySwitches}\nnonvoluntary_ctxt_switches:\t${task.group.dead.involuntarySwitches}\n`
  );
}
