/** Which socket options of an application reach a host socket (--network=host). What is not here is refused, whatever the host knows. */
import * as I from '../../../../abi/in.ts';
import * as S from '../../../../abi/socket.ts';

const UDP_SEGMENT = 103;
const UDP_GRO = 104;
const IP_RECVORIGDSTADDR = 20;
const IPV6_RECVORIGDSTADDR = 74;

/** Longest value. */
export const MAX_OPTION = 256;

const READ_AND_WRITE: Readonly<Record<number, readonly number[]>> = {
  [S.SOL_SOCKET]: [
    S.SO_REUSEADDR,
    S.SO_REUSEPORT,
    S.SO_KEEPALIVE,
    S.SO_BROADCAST,
    S.SO_OOBINLINE,
    S.SO_LINGER,
    S.SO_RCVLOWAT,
    S.SO_DONTROUTE,
  ],
  [I.IPPROTO_IP]: [
    ...[I.IP_TOS, I.IP_TTL, I.IP_PKTINFO, I.IP_MTU_DISCOVER, I.IP_RECVERR, I.IP_RECVTTL, I.IP_RECVTOS, I.IP_FREEBIND],
    ...[I.IP_BIND_ADDRESS_NO_PORT, I.IP_MULTICAST_IF, I.IP_MULTICAST_TTL, I.IP_MULTICAST_LOOP, I.IP_MULTICAST_ALL, IP_RECVORIGDSTADDR],
  ],
  [I.IPPROTO_IPV6]: [
    ...[I.IPV6_UNICAST_HOPS, I.IPV6_MULTICAST_IF, I.IPV6_MULTICAST_HOPS, I.IPV6_MULTICAST_LOOP, I.IPV6_MTU_DISCOVER, I.IPV6_RECVERR],
    ...[I.IPV6_V6ONLY, I.IPV6_RECVPKTINFO, I.IPV6_RECVHOPLIMIT, I.IPV6_RECVTCLASS, I.IPV6_TCLASS, IPV6_RECVORIGDSTADDR],
  ],
  [I.IPPROTO_TCP]: [
    ...[I.TCP_NODELAY, I.TCP_MAXSEG, I.TCP_CORK, I.TCP_KEEPIDLE, I.TCP_KEEPINTVL, I.TCP_KEEPCNT, I.TCP_SYNCNT, I.TCP_LINGER2],
    ...[
      I.TCP_DEFER_ACCEPT,
      I.TCP_WINDOW_CLAMP,
      I.TCP_QUICKACK,
      I.TCP_USER_TIMEOUT,
      I.TCP_NOTSENT_LOWAT,
      I.TCP_FASTOPEN,
      I.TCP_FASTOPEN_CONNECT,
    ],
    I.TCP_INQ,
  ],
  [I.IPPROTO_UDP]: [UDP_SEGMENT, UDP_GRO],
};
const READ_ONLY: Readonly<Record<number, readonly number[]>> = {
  [S.SOL_SOCKET]: [S.SO_COOKIE, S.SO_INCOMING_CPU],
  [I.IPPROTO_IP]: [I.IP_MTU],
  [I.IPPROTO_IPV6]: [I.IPV6_MTU],
  [I.IPPROTO_TCP]: [I.TCP_INFO, I.TCP_CONGESTION],
};
const WRITE_ONLY: Readonly<Record<number, readonly number[]>> = {
  [I.IPPROTO_IP]: [I.IP_ADD_MEMBERSHIP, I.IP_DROP_MEMBERSHIP],
  [I.IPPROTO_IPV6]: [I.IPV6_ADD_MEMBERSHIP, I.IPV6_DROP_MEMBERSHIP],
};

const has = (table: Readonly<Record<number, readonly number[]>>, level: number, option: number): boolean =>
  Object.hasOwn(table, level) && (table[level] as readonly number[]).includes(option);

export function mayRead(level: number, option: number): boolean {
  return has(READ_AND_WRITE, level, option) || has(READ_ONLY, level, option);
}
export function mayWrite(level: number, option: number): boolean {
  return has(READ_AND_WRITE, level, option) || has(WRITE_ONLY, level, option);
}
