/** A host process that outlives us: its pid and, because pids are used again, its start time. */
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { ESRCH } from '../../abi/errno.ts';
import { host } from '../../lib/host.ts';

// wait4(2), x86-64.
const NR_wait4 = 61;
const WNOHANG = 1;

export interface Process {
  readonly pid: number;
  /** Field 22 of /proc/PID/stat: clock ticks since boot. */
  readonly startTime: number;
}

interface Stat {
  readonly state: string;
  readonly startTime: number;
}

function stat(pid: number): Stat | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return { state: fields[0] as string, startTime: Number(fields[19]) };
  } catch {
    return null;
  }
}

/** A process that exists now (a zombie does). */
export function identify(pid: number): Process {
  return { pid, startTime: stat(pid)?.startTime ?? 0 };
}

/** It runs: neither gone nor a zombie. */
export function isAlive(process: Process): boolean {
  const now = stat(process.pid);
  return now !== null && now.startTime === process.startTime && now.state !== 'Z' && now.state !== 'X';
}

export function signal(process: Process, number: number): boolean {
  return stat(process.pid)?.startTime === process.startTime && host.kill(process.pid, number) !== ESRCH;
}

/** A child of ours: its wait status once it has ended (it is reaped), 'running' until its last thread is gone. 'other': not our child. */
function reap(process: Process): number | 'running' | 'other' {
  const status = new Int32Array(1);
  const r = host.syscall(NR_wait4, process.pid, status, WNOHANG, null);
  if (r === process.pid) return status[0] as number;
  return r === 0 ? 'running' : 'other';
}

/** 0..255, 128 + n after signal n. */
export function exitCode(waitStatus: number): number {
  const killedBy = waitStatus & 0x7f;
  return killedBy === 0 ? (waitStatus >> 8) & 0xff : 128 + killedBy;
}

/** ms for which an end is looked for often. */
const PROMPT_LOOKS = 500;

/** Resolves when it has ended (reaped if it is a child of ours), with its wait status where we are told; throws after `patience` ms. */
export async function ended(process: Process, patience: number): Promise<number | null> {
  const start = Date.now();
  const giveUp = start + patience;
  // Namespaces that go take the host a while; whoever waits for the end of a command waits for this.
  for (let delay = 1; ; delay = Math.min(delay * 2, Date.now() - start < PROMPT_LOOKS ? 4 : 50)) {
    const status = reap(process);
    if (typeof status === 'number') return status;
    if (status === 'other' && !isAlive(process)) return null;
    if (Date.now() > giveUp) throw new Error(`process ${process.pid} does not end`);
    await sleep(delay);
  }
}

/** SIGKILL, and waits until it is gone. */
export async function destroyProcess(process: Process, patience = 10_000): Promise<void> {
  signal(process, 9);
  await ended(process, patience);
}

/** A sandbox, gofer or helper, by the name that this runtime has given it. */
export function isRuntimeProcess(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1').startsWith('runsc-');
  } catch {
    return false; // gone
  }
}
