/** What each call of the control protocol does. */
import { errnoName } from '../../abi/errno.ts';
import { FAILED_PRECONDITION, StatusError } from '../../lib/ttrpc/status.ts';
import type { SandboxLog } from '../boot/log.ts';
import type { Sandbox } from '../boot/sandbox.ts';
import type { SandboxContainer } from '../boot/sandbox_container.ts';
import { groupCpuTime, groupCpuTimes } from '../kernel/cpu_time.ts';
import type { ThreadGroup } from '../kernel/thread_group.ts';
import { Terminal } from '../tty/terminal.ts';
import { debug } from './debug.ts';
import { type ControlMethods, Later } from './server.ts';

export function controlMethods(sandbox: Sandbox, log: SandboxLog): ControlMethods {
  const { kernel } = sandbox;
  return {
    Create: (q, fds) => {
      sandbox.create(q, fds);
      return {};
    },
    Start: (q) => ({ pid: sandbox.get(q.container_id).start() }),
    Exec: (q, fds) => ({ pid: sandbox.exec(q, fds) }),
    Signal: (q) => {
      sandbox.get(q.container_id).signal(q.exec_id, q.signal, q.all);
      return {};
    },
    Wait: (q) => {
      const process = sandbox.get(q.container_id).process(q.exec_id);
      return new Later<'Wait'>((answer) => process.onExit((exit) => answer({ exit_code: exit.code, exited_at: exit.at })));
    },
    State: (q) => ({ status: sandbox.get(q.container_id).status }),
    Processes: (q) => {
      const container = sandbox.get(q.container_id);
      return { processes: [...container.container.processes].filter((g) => !g.zombie).map((g) => describe(container, g)) };
    },
    Pause: (q) => {
      sandbox.get(q.container_id).pause();
      return {};
    },
    Resume: (q) => {
      sandbox.get(q.container_id).resume();
      return {};
    },
    ResizePty: (q) => {
      const { bridge } = sandbox.get(q.container_id).process(q.exec_id);
      if (bridge === null) throw new StatusError(FAILED_PRECONDITION, 'the process has no terminal');
      bridge.resize(q.rows, q.columns);
      return {};
    },
    CloseStdin: (q) => {
      sandbox.get(q.container_id).process(q.exec_id).closeStdin();
      return {};
    },
    Stats: (q) => statsOf(sandbox.get(q.container_id)),
    Update: (q) => {
      sandbox.get(q.container_id).update(q.resources);
      kernel.memoryGuard?.settle();
      return {};
    },
    Forward: (q, fds) =>
      new Later<'Forward'>((answer, fail) =>
        sandbox.get(q.container_id).forward(q, fds, (error) => {
          if (error === 0) answer({});
          else fail(new StatusError(FAILED_PRECONDITION, `port ${q.port} of container ${q.container_id}: ${errnoName(error)}`));
        }),
      ),
    Delete: (q) => {
      sandbox.delete(q.container_id);
      return {};
    },
    Debug: (q) => ({ text: debug(kernel, log, q) }),
    Shutdown: () => {
      sandbox.shutdown();
      return {};
    },
  };

  function describe(container: SandboxContainer, group: ThreadGroup) {
    const ns = container.container.pidNamespace;
    const { leader } = group;
    const terminal = group.group.session.terminal;
    return {
      pid: group.idIn(ns),
      ppid: group.parent?.idIn(ns) ?? 0,
      uid: leader.creds.uid,
      started_at: Math.floor((kernel.realtime() - (kernel.now() - group.startTime)) / 1e6),
      cpu_time: Math.floor(groupCpuTime(group)),
      tty: terminal instanceof Terminal ? `pts/${terminal.index}` : '?',
      command: leader.name,
      exec_id: container.execIdOf(group),
    };
  }
}

function statsOf(container: SandboxContainer) {
  let user = 0;
  let system = 0;
  let memory = 0;
  const { processes, taskCount, memory: account, spaces } = container.container;
  for (const group of processes) {
    const times = groupCpuTimes(group);
    user += times.user;
    system += times.system;
    if (!group.zombie) memory += group.leader.thread.space.resident().total;
  }
  const network = container.networkCounters();
  const cpu = { cpu_user: Math.floor(user), cpu_system: Math.floor(system) };
  return { ...cpu, memory, processes: taskCount, held: account.held, in_cgroup: spaces !== null, ...network };
}
