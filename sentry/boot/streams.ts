/** Standard streams and further descriptors of a process, from what the host donated. */
import { EINVAL, type Errno, isErrno } from '../../abi/errno.ts';
import { openHostStdio, type StdioOwner } from '../fs/host_stdio.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { createTerminal, HostTerminal } from '../tty/host_terminal.ts';
import type { FileDescription } from '../vfs/file.ts';
import type { MountNamespace } from '../vfs/mount.ts';
import type { ProcessStreams } from './guest_process.ts';
import { devptsMount } from './mount_tree.ts';

/** Host descriptors; -1: none. */
export interface DonatedStreams {
  readonly stdin: number;
  readonly stdout: number;
  readonly stderr: number;
  readonly extra: readonly number[];
}

/** First descriptor after the standard ones. */
const FIRST_EXTRA = 3;

/** Pipes, files and the like as they are. Owns the descriptors, also when it fails. */
export function plainStreams(kernel: Kernel, donated: DonatedStreams, owner: StdioOwner): ProcessStreams | Errno {
  const numbered: [number, number][] = [
    [0, donated.stdin],
    [1, donated.stdout],
    [2, donated.stderr],
    ...donated.extra.map((fd, i): [number, number] => [FIRST_EXTRA + i, fd]),
  ];
  const fds = new Map<number, FileDescription>();
  let failed: Errno | 0 = 0;
  for (const [number, hostFd] of numbered) {
    if (hostFd < 0) continue;
    const file: FileDescription | Errno = failed === 0 ? openHostStdio(kernel, hostFd, owner) : failed;
    if (isErrno(file)) {
      failed = file;
      kernel.host.close(hostFd);
    } else fds.set(number, file);
  }
  if (failed === 0) return { fds, bridge: null };
  for (const file of fds.values()) file.release();
  return failed;
}

/** A terminal of the container's own, bridged to the host's stdin and stdout. Owns the descriptors, also when it fails. */
export function terminalStreams(
  kernel: Kernel,
  ns: MountNamespace,
  donated: DonatedStreams,
  owner: StdioOwner,
  size: { readonly rows: number; readonly columns: number },
): ProcessStreams | Errno {
  const mount = devptsMount(ns);
  const made = mount === null ? EINVAL : createTerminal(mount, owner.uid, owner.gid);
  const hostFds = [donated.stdin, donated.stdout, donated.stderr, ...donated.extra].filter((fd) => fd >= 0);
  if (isErrno(made)) {
    for (const fd of hostFds) kernel.host.close(fd);
    return made;
  }
  for (const fd of hostFds) if (fd !== donated.stdin && fd !== donated.stdout) kernel.host.close(fd);
  const bridge = new HostTerminal(kernel, made.terminal, donated.stdin, donated.stdout);
  if (size.rows > 0) bridge.resize(size.rows, size.columns);
  const { slave } = made;
  return {
    fds: new Map([
      [0, slave],
      [1, slave.hold()],
      [2, slave.hold()],
    ]),
    bridge,
  };
}
