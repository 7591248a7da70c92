/** exec: another process in a container that runs. */
import { readFileSync, writeFileSync } from 'node:fs';
import { errnoName, isErrno } from '../../abi/errno.ts';
import { host } from '../../lib/host.ts';
import { SOCK_SEQPACKET } from '../../lib/unix_socket.ts';
import { command } from '../cli/command.ts';
import { type Flags, UsageError } from '../cli/flags.ts';
import { closeTerminal, type HostTerminal, makeTerminal, sendMaster, windowSize } from '../container/console.ts';
import type { Container } from '../container/container.ts';
import { checkProcess } from '../container/load_spec.ts';
import type { SpecProcess } from '../container/spec.ts';
import { type ExecOptions, RuntimeError } from '../container/types.ts';
import { startWaiter } from '../container/waiter.ts';
import { attend, terminalStdio } from './foreground.ts';
import { inheritedStdio, preservedFds } from './stdio.ts';

const FLAGS = {
  process: { kind: 'string', alias: 'p', help: 'file with a "process" of an OCI spec' },
  detach: { kind: 'bool', alias: 'd', help: 'do not wait' },
  'pid-file': { kind: 'string', help: 'file that gets the pid of a host process which ends as the process does' },
  'console-socket': { kind: 'string', help: 'unix socket that gets the master of the terminal' },
  tty: { kind: 'bool', alias: 't', help: 'give it a terminal' },
  env: { kind: 'list', alias: 'e', help: 'NAME=value, more than once' },
  user: { kind: 'string', alias: 'u', help: 'UID[:GID]' },
  'additional-gids': { kind: 'list', alias: 'g', help: 'supplementary group' },
  cwd: { kind: 'string', help: 'working directory' },
  cap: { kind: 'list', alias: 'c', help: 'capability to add' },
  'no-new-privs': { kind: 'bool', help: 'set no_new_privs' },
  'internal-pid-file': { kind: 'string', help: 'file that gets the pid inside' },
  'exec-id': { kind: 'string', help: 'name of the process within the container' },
  'preserve-fds': { kind: 'int', help: 'pass so many descriptors from 3 on to the process' },
  'ignore-paused': { kind: 'bool', help: 'also in a container that is paused' },
  cgroup: { kind: 'list', refused: 'a container is one cgroup, which cannot be divided' },
  // Accepted, without effect here.
  'process-label': { kind: 'string' },
  apparmor: { kind: 'string' },
  'no-subreaper': { kind: 'bool' },
} as const;

export const exec = command('exec', {
  usage: 'ID [COMMAND [ARGUMENT…]]',
  summary: 'run a process in a running container',
  flags: FLAGS,
  words: [1, Number.POSITIVE_INFINITY],
  greedy: true,
  run: async ({ containers }, flags, [id, ...words]) => {
    const container = await containers.load(id as string);
    if (!flags['ignore-paused'] && (await container.state()).status === 'paused')
      throw new RuntimeError('State', 'cannot exec in a paused container (use --ignore-paused to override)');
    const process = describeProcess(container, flags, words[0] === '--' ? words.slice(1) : words);
    const execId = flags['exec-id'] ?? `exec-${globalThis.process.pid}-${Date.now()}`;
    const detached = flags.detach || flags['pid-file'] !== undefined;
    return detached ? execDetached(container, process, execId, flags) : execForeground(container, process, execId, flags);
  },
});

function describeProcess(container: Container, flags: Flags<typeof FLAGS>, args: readonly string[]): SpecProcess {
  if (flags.process !== undefined) {
    let json: unknown;
    try {
      json = JSON.parse(readFileSync(flags.process, 'utf8'));
    } catch (e) {
      throw new RuntimeError('Invalid', `cannot read ${flags.process}: ${(e as Error).message}`, e);
    }
    const process = checkProcess(json);
    return flags.tty ? { ...process, terminal: true } : process;
  }
  if (args.length === 0) throw new UsageError('exec: no command');
  const base = container.spec().process;
  if (base === undefined) throw new RuntimeError('Internal', `the container's spec has no process`);
  const added = flags.cap.map((c) => (c.toUpperCase().startsWith('CAP_') ? c.toUpperCase() : `CAP_${c.toUpperCase()}`));
  const caps = base.capabilities ?? {};
  const more = (set: readonly string[] | undefined): string[] => [...new Set([...(set ?? []), ...added])];
  const user = userOf(flags, base);
  return checkProcess({
    ...base,
    args,
    terminal: flags.tty,
    env: [...(base.env ?? []).filter((e) => user.uid === base.user?.uid || !e.startsWith('HOME=')), ...flags.env],
    cwd: flags.cwd ?? base.cwd,
    user,
    capabilities: { ...caps, bounding: more(caps.bounding), effective: more(caps.effective), permitted: more(caps.permitted) },
    noNewPrivileges: flags['no-new-privs'] || base.noNewPrivileges === true,
  });
}

function userOf(flags: Flags<typeof FLAGS>, base: SpecProcess): SpecProcess['user'] {
  const gids = flags['additional-gids'].map(Number);
  const inherited = { ...(base.user ?? { uid: 0, gid: 0 }) };
  const additionalGids = [...(inherited.additionalGids ?? []), ...gids];
  if (flags.user === undefined) return { ...inherited, additionalGids };
  const match = /^(\d+)(?::(\d+))?$/.exec(flags.user);
  if (match === null) throw new UsageError(`--user: ${flags.user} is not of the form UID[:GID]`);
  return { uid: Number(match[1]), gid: match[2] === undefined ? inherited.gid : Number(match[2]), additionalGids };
}

async function execForeground(container: Container, process: SpecProcess, execId: string, flags: Flags<typeof FLAGS>): Promise<number> {
  const consoleSocket = flags['console-socket'];
  const ownTerminal = process.terminal === true && consoleSocket === undefined;
  const size = ownTerminal ? windowSize(0) : null;
  const options: ExecOptions = {
    execId,
    process: size === null ? process : { ...process, consoleSize: { height: size.rows, width: size.columns } },
    stdio: ownTerminal ? terminalStdio() : inheritedStdio(),
    extraFds: preservedFds(flags['preserve-fds']),
    ...(consoleSocket === undefined ? {} : { consoleSocket }),
  };
  const { pid } = await container.exec(options);
  if (flags['internal-pid-file'] !== undefined) writeFileSync(flags['internal-pid-file'], String(pid));
  return (await attend(container, ownTerminal, execId)).exitCode;
}

/** A small process stays behind whose end is the process's end. */
async function execDetached(container: Container, process: SpecProcess, execId: string, flags: Flags<typeof FLAGS>): Promise<number> {
  const consoleSocket = flags['console-socket'];
  if (process.terminal === true && consoleSocket === undefined)
    throw new RuntimeError('Invalid', 'cannot allocate tty if runc will detach without setting console socket');
  const terminal = process.terminal === true ? makeTerminal() : null;
  const pair = host.socketpair(SOCK_SEQPACKET);
  if (isErrno(pair)) throw new RuntimeError('Internal', `cannot make a socket pair: ${errnoName(pair)}`);
  try {
    if (terminal !== null) sendMaster(consoleSocket as string, terminal);
    const stdio = terminal === null ? inheritedStdio() : { stdin: terminal.slave, stdout: terminal.slave, stderr: null };
    const { pid } = await container.exec({ execId, process, stdio, extraFds: preservedFds(flags['preserve-fds']), tether: pair[0] });
    const waiter = startWaiter(pair[1], terminal?.slave ?? null, container.cgroupProcs());
    if (flags['pid-file'] !== undefined) writeFileSync(flags['pid-file'], String(waiter));
    if (flags['internal-pid-file'] !== undefined) writeFileSync(flags['internal-pid-file'], String(pid));
    return flags.detach ? 0 : (await attend(container, false, execId)).exitCode;
  } finally {
    closeAll(pair, terminal);
  }
}

function closeAll(pair: readonly number[], terminal: HostTerminal | null): void {
  for (const fd of pair) host.close(fd);
  if (terminal !== null) closeTerminal(terminal);
}
