/** Starts native-addon/src/waiter.c: the host process that stands for a process of exec. */
import { O_CLOEXEC, O_RDWR, O_WRONLY } from '../../abi/fcntl.ts';
import { host } from '../../lib/host.ts';
import { spawn } from '../../lib/spawn.ts';
import { helperPath } from './programs.ts';

/** Its pid. The descriptors stay the caller's. `terminal`: raw slave of the process's host terminal. */
export function startWaiter(tether: number, terminal: number | null, cgroupProcs: readonly string[]): number {
  const nothing = host.openat(-100, '/dev/null', O_RDWR | O_CLOEXEC);
  const cgroupFds = cgroupProcs.map((path) => host.openat(-100, path, O_WRONLY | O_CLOEXEC)).filter((fd) => fd >= 0);
  try {
    return spawn({
      file: helperPath('runsc-waiter'),
      args: ['runsc-waiter'],
      env: [],
      fds: [nothing, nothing, nothing, tether, ...(terminal === null ? [] : [terminal])],
      namespaces: 0,
      cgroupFds,
      cwd: '/',
      newSession: true,
      ...(terminal === null ? {} : { terminalFd: terminal }),
      noNewPrivileges: true,
    });
  } finally {
    for (const fd of [nothing, ...cgroupFds]) host.close(fd);
  }
}
