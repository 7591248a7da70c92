/** The host network namespace that a sandbox lives in. */
import { EINVAL, errnoName } from '../../abi/errno.ts';
import { O_CLOEXEC, O_RDONLY } from '../../abi/fcntl.ts';
import { host } from '../../lib/host.ts';
import { CLONE_NEWNET } from '../../lib/spawn.ts';
import type { Spec } from './spec.ts';
import { RuntimeError, type RuntimeSettings } from './types.ts';

// Host system calls, x86-64; netdevice(7).
const NR = { socket: 41, unshare: 272, setns: 308 } as const;
const AF_INET = 2;
const SOCK_DGRAM = 2;
const SIOCGIFFLAGS = 0x8913;
const SIOCSIFFLAGS = 0x8914;
const IFF_UP = 1;
const IFREQ_SIZE = 40;
const IFREQ_FLAGS = 16;

/** Path of the namespace that the specification names; null: none. */
export function namedNetworkNamespace(spec: Spec): string | null {
  return spec.linux?.namespaces?.find((n) => n.type === 'network' && (n.path ?? '') !== '')?.path ?? null;
}

/**
 * A specification without a network namespace asks for the caller's (docker run --network host, hostNetwork of a pod): its interfaces are
 * never the sandbox's own, but its sockets may be.
 */
export function networkMode(wanted: RuntimeSettings['network'], spec: Spec): RuntimeSettings['network'] {
  const has = spec.linux?.namespaces?.some((n) => n.type === 'network') === true;
  return wanted === 'sandbox' && !has ? 'host' : wanted;
}

/**
 * A descriptor of it, for the caller to close; null: the caller's own, for mode host without a namespace that the specification names.
 * `network`: as networkMode gives it.
 */
export function openNetworkNamespace(spec: Spec, network: RuntimeSettings['network']): number | null {
  const path = namedNetworkNamespace(spec);
  if (path === null || network === 'none') return network === 'host' ? null : makeNetworkNamespace();
  const fd = host.openat(-100, path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) throw new RuntimeError('Internal', `cannot open network namespace ${path}: ${errnoName(fd)}`);
  return fd;
}

function ownNamespace(): number {
  const own = host.openat(-100, '/proc/thread-self/ns/net', O_RDONLY | O_CLOEXEC);
  if (own < 0) throw new RuntimeError('Internal', `cannot open our own network namespace: ${errnoName(own)}`);
  return own;
}
/** Staying in another one would put everything that follows into the container's network. */
function goBack(own: number): void {
  if (host.syscall(NR.setns, own, CLONE_NEWNET) < 0) process.abort();
  host.close(own);
}

/** Runs `work`, which does not wait, with this thread in the namespace. @throws RuntimeError if it cannot be entered. */
export function inNetworkNamespace<T>(namespace: number, work: () => T): T {
  const own = ownNamespace();
  const r = host.syscall(NR.setns, namespace, CLONE_NEWNET);
  if (r < 0) {
    host.close(own);
    throw new RuntimeError('Internal', `cannot enter the network namespace: ${errnoName(r)}`);
  }
  try {
    return work();
  } finally {
    goBack(own);
  }
}

/** A new one, its loopback down. This thread enters it for a moment. */
function makeNetworkNamespace(): number {
  const own = ownNamespace();
  const unshared = host.syscall(NR.unshare, CLONE_NEWNET);
  if (unshared < 0) {
    host.close(own);
    throw new RuntimeError('Internal', `cannot make a network namespace: ${errnoName(unshared)}`);
  }
  const made = host.openat(-100, '/proc/thread-self/ns/net', O_RDONLY | O_CLOEXEC);
  goBack(own);
  if (made < 0) throw new RuntimeError('Internal', `cannot open the new network namespace: ${errnoName(made)}`);
  return made;
}

/** The loopback of a namespace that we have made. It may take the host long, so not before the sandbox has been started. */
export function loopbackUp(namespace: number): void {
  inNetworkNamespace(namespace, setLoopbackUp);
}

function setLoopbackUp(): number {
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
