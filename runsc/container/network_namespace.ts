/** The host network namespace that a sandbox lives in. */
import { EINVAL, errnoName } from '../../abi/errno.ts';
import { O_CLOEXEC, O_RDONLY } from '../../abi/fcntl.ts';
import { host } from '../../lib/host.ts';
import { CLONE_NEWNET } from '../../lib/spawn.ts';
import type { Spec } from './spec.ts';
import { RuntimeError } from './types.ts';

// Host system calls, x86-64; netdevice(7).
const NR = { socket: 41, unshare: 272, setns: 308 } as const;
const AF_INET = 2;
const SOCK_DGRAM = 2;
const SIOCGIFFLAGS = 0x8913;
const SIOCSIFFLAGS = 0x8914;
const IFF_UP = 1;
const IFREQ_SIZE = 40;
const IFREQ_FLAGS = 16;

/** A descriptor of it, for the caller to close; null: the caller's own (host network). */
export function openNetworkNamespace(spec: Spec): number | null {
  const entry = spec.linux?.namespaces?.find((n) => n.type === 'network');
  if (entry === undefined) return null;
  if (entry.path === undefined || entry.path === '') return makeNetworkNamespace();
  const fd = host.openat(-100, entry.path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) throw new RuntimeError('Internal', `cannot open network namespace ${entry.path}: ${errnoName(fd)}`);
  return fd;
}

/** A new one with its loopback up. This thread enters it for a moment. */
function makeNetworkNamespace(): number {
  const own = host.openat(-100, '/proc/thread-self/ns/net', O_RDONLY | O_CLOEXEC);
  const unshared = own < 0 ? own : host.syscall(NR.unshare, CLONE_NEWNET);
  if (unshared < 0) {
    if (own >= 0) host.close(own);
    throw new RuntimeError('Internal', `cannot make a network namespace: ${errnoName(unshared)}`);
  }
  const made = host.openat(-100, '/proc/thread-self/ns/net', O_RDONLY | O_CLOEXEC);
  loopbackUp();
  // Staying would put everything that follows into the container's network.
  if (host.syscall(NR.setns, own, CLONE_NEWNET) < 0) process.abort();
  host.close(own);
  if (made < 0) throw new RuntimeError('Internal', `cannot open the new network namespace: ${errnoName(made)}`);
  return made;
}

function loopbackUp(): number {
  const socket = host.syscall(NR.socket, AF_INET, SOCK_DGRAM | O_CLOEXEC, 0);
  if (socket < 0) return EINVAL;
  const request = new Uint8Array(IFREQ_SIZE);
  request.set([0x6c, 0x6f]); // "lo"
  const view = new DataView(request.buffer);
  let r = host.ioctl(socket, SIOCGIFFLAGS, request);
  view.setUint16(IFREQ_FLAGS, view.getUint16(IFREQ_FLAGS, true) | IFF_UP, true);
  if (r === 0) r = host.ioctl(socket, SIOCSIFFLAGS, request);
  host.close(socket);
  return r;
}
