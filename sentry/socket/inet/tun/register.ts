/** /dev/net/tun (tun(4)). */
import { ENODEV } from '../../../../abi/errno.ts';
import { MISC_MAJOR } from '../../../../abi/fuse.ts';
import { TUN_MINOR } from '../../../../abi/if_tun.ts';
import { QueueBudget } from '../../../../netstack/link/tunnel_port.ts';
import type { Kernel } from '../../../kernel/kernel.ts';
import type { Networks } from '../networks.ts';
import { TunFile } from './tun_file.ts';

/** Bytes that wait in all tunnels of the sandbox; nothing is told to wait, what is more is lost. */
const MAX_WAITING = 64 << 20;

export function registerTunDevice(kernel: Kernel, networks: Networks): void {
  const budget = new QueueBudget(MAX_WAITING);
  kernel.devices.registerCharacter({
    name: 'misc',
    major: MISC_MAJOR,
    firstMinor: TUN_MINOR,
    minors: 1,
    open: (_flags, { task }) => (task === null ? ENODEV : new TunFile(kernel, networks, networks.of(task.namespaces.net), budget)),
  });
}
