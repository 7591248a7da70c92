/**
 * The size of the container's console, where it is a host terminal that somebody else holds the master of (docker's --console-socket): the
 * terminal is this process's controlling one, so the host tells by SIGWINCH. Its hang-up must not end the sandbox: SIGHUP is ignored.
 */

import { POLLIN } from '../../abi/poll.ts';
import { SIGHUP, SIGWINCH } from '../../abi/signal.ts';
import { TIOCGWINSZ } from '../../abi/termios.ts';
import type { Host } from '../../lib/host.ts';
import type { HostPoll } from '../../platforms/host_poll.ts';

export function watchConsole(host: Host, poll: HostPoll, changed: () => void): void {
  host.ignoreSignal(SIGHUP);
  const signals = host.signalEvents(SIGWINCH);
  if (signals < 0) return; // the console keeps the size it starts with
  const count = new Uint8Array(8);
  poll.add(signals, POLLIN, () => {
    host.read(signals, count);
    changed();
  });
}

/** Null while nobody has set one. */
export function consoleSize(host: Host, consoleFd: number): { readonly rows: number; readonly columns: number } | null {
  const size = new Uint16Array(4);
  if (host.ioctl(consoleFd, TIOCGWINSZ, size) < 0 || size[0] === 0) return null;
  return { rows: size[0] as number, columns: size[1] as number };
}
