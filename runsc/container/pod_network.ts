/**
 * What a sandbox gets of its network namespace: packet sockets, which it binds to the interfaces that it finds, a socket that tells it
 * of interfaces, addresses and routes, and the namespace's settings. Opened here because the sandbox has no right to open any.
 */
import { errnoName } from '../../abi/errno.ts';
import * as L from '../../abi/netlink.ts';
import { AF_PACKET, SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_RAW, SOL_SOCKET } from '../../abi/socket.ts';
import { host } from '../../lib/host.ts';
import { RouteSocket } from '../../lib/rtnetlink.ts';
import type { DonatedFds } from './donated_fd.ts';
import { readSysctl, silenceHostStack } from './host_stack.ts';
import { inNetworkNamespace } from './network_namespace.ts';
import { RuntimeError } from './types.ts';

const NR = { socket: 41, setsockopt: 54 } as const;
// packet(7)
const SOL_PACKET = 263;
const PACKET_VNET_HDR = 15;
const PACKET_IGNORE_OUTGOING = 23;
const SO_RCVBUFFORCE = 33;
const SO_SNDBUFFORCE = 32;
/** What may lie between two looks of the sandbox; the host counts it twice, for its own bookkeeping. */
const RECEIVE_BUFFER = 8 << 20;
const SEND_BUFFER = 4 << 20;
/** Interfaces that a sandbox can have; more are not served. */
const MAX_INTERFACES = 16;
/** Sockets for interfaces that appear later. */
const SPARE_SOCKETS = 4;
const GROUPS = L.RTMGRP_LINK | L.RTMGRP_NEIGH | L.RTMGRP_IPV4_IFADDR | L.RTMGRP_IPV4_ROUTE | L.RTMGRP_IPV6_IFADDR | L.RTMGRP_IPV6_ROUTE;
/** Settings that the sandbox's own stack starts with. */
const SYSCTLS = [
  'net/ipv4/ip_forward',
  'net/ipv4/ip_local_port_range',
  'net/ipv4/ip_unprivileged_port_start',
  'net/ipv4/ping_group_range',
  'net/ipv6/conf/all/forwarding',
  'net/ipv6/conf/all/disable_ipv6',
  'net/ipv6/conf/all/accept_ra',
];

export interface PodNetwork {
  /** Positions of the descriptors in the request. */
  readonly packetFds: number[];
  readonly routeFd: number;
  readonly sysctls: Readonly<Record<string, string>>;
  /** What was changed of the namespace's /proc/sys. */
  readonly changed: Readonly<Record<string, string>>;
  /** A container engine answers names at 127.0.0.11 in the namespace. */
  readonly resolver: boolean;
}
/** 127.0.0.11, as /proc/net/udp shows it. */
const ENGINE_RESOLVER = / 0B00007F:/;

/** Null: the namespace has nothing but its loopback, nor will it (`mayGrow`). @throws RuntimeError */
export function openPodNetwork(namespace: number, fds: DonatedFds, mayGrow: boolean): PodNetwork | null {
  return inNetworkNamespace(namespace, () => {
    const count = countInterfaces();
    if (count === 0 && !mayGrow) return null;
    const sysctls = Object.fromEntries(SYSCTLS.flatMap((name) => [[name, readSysctl(`/proc/sys/${name}`)]]).filter(([, v]) => v !== null));
    const packetFds = Array.from({ length: Math.min(count, MAX_INTERFACES) + SPARE_SOCKETS }, () => fds.take(openPacketSocket()));
    const routeFd = fds.take(openRouteSocket());
    const resolver = ENGINE_RESOLVER.test(readSysctl('/proc/thread-self/net/udp') ?? '');
    return { packetFds, routeFd, sysctls, changed: silenceHostStack(), resolver };
  });
}

/** --network=host: what tells of the interfaces, addresses and routes. namespace null: the caller's. Position of the descriptor. */
export function openHostView(namespace: number | null, fds: DonatedFds): number {
  return namespace === null ? fds.take(openRouteSocket()) : inNetworkNamespace(namespace, () => fds.take(openRouteSocket()));
}

/** Not bound to an interface, and without a protocol: it gets nothing yet. */
function openPacketSocket(): number {
  const fd = host.syscall(NR.socket, AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) throw new RuntimeError('Internal', `cannot open a packet socket: ${errnoName(fd)}`);
  const set = (level: number, option: number, value: number): number =>
    host.syscall(NR.setsockopt, fd, level, option, Int32Array.of(value), 4);
  const r = set(SOL_PACKET, PACKET_VNET_HDR, 1) || set(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1);
  if (r !== 0) {
    host.close(fd);
    throw new RuntimeError('Internal', `cannot set up a packet socket (Linux 4.20 or newer is needed): ${errnoName(r)}`);
  }
  // Smaller buffers do, too.
  set(SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER);
  set(SOL_SOCKET, SO_SNDBUFFORCE, SEND_BUFFER);
  return fd;
}

function openRouteSocket(): number {
  const fd = RouteSocket.open(host, GROUPS);
  if (fd < 0) throw new RuntimeError('Internal', `cannot open a routing socket: ${errnoName(fd)}`);
  return fd;
}

/** Beside the loopback. */
function countInterfaces(): number {
  const fd = RouteSocket.open(host, 0);
  if (fd < 0) throw new RuntimeError('Internal', `cannot open a routing socket: ${errnoName(fd)}`);
  let count = 0;
  const r = new RouteSocket(host, fd).list(L.RTM_GETLINK, new Uint8Array(L.Ifinfomsg.size), ({ body }) => {
    if (L.Ifinfomsg.decode(body).ifi_index !== 1) count++;
  });
  host.close(fd);
  if (r !== 0) throw new RuntimeError('Internal', `cannot list the interfaces of the network namespace: ${errnoName(r)}`);
  return count;
}
