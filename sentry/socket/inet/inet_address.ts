/** struct sockaddr_in and sockaddr_in6 ↔ address and port. IPv4-mapped IPv6 addresses are IPv4 addresses inside. */
import { EAFNOSUPPORT, EINVAL, type Errno } from '../../../abi/errno.ts';
import { SOCKADDR_IN_SIZE, SOCKADDR_IN6_MIN, SOCKADDR_IN6_SIZE } from '../../../abi/in.ts';
import { AF_INET, AF_INET6, AF_UNSPEC } from '../../../abi/socket.ts';
import { ANY6, type IpAddress, readAddress, writeAddress } from '../../../netstack/address.ts';

export interface InetAddress {
  readonly address: IpAddress;
  readonly port: number;
  /** Interface of a link-local address, or 0. */
  readonly scope: number;
}
const MAPPED = '\0\0\0\0\0\0\0\0\0\0\xff\xff';

export function familyOf(raw: Uint8Array): number {
  return raw.length < 2 ? -1 : (raw[0] as number) | ((raw[1] as number) << 8);
}
/** `family`: of the socket. An AF_INET socket takes AF_UNSPEC with the wildcard, as Linux does for bind(2). */
export function decodeInetAddress(raw: Uint8Array, family: number): InetAddress | Errno {
  const given = familyOf(raw);
  if (given < 0) return EINVAL;
  const port = ((raw[2] ?? 0) << 8) | (raw[3] ?? 0);
  if (family === AF_INET) {
    if (raw.length < SOCKADDR_IN_SIZE) return EINVAL;
    const address = readAddress(raw, 4, 4);
    if (given !== AF_INET && !(given === AF_UNSPEC && address === '\0\0\0\0')) return EAFNOSUPPORT;
    return { address, port, scope: 0 };
  }
  if (given !== AF_INET6) {
    // An IPv6 socket takes an IPv4 destination as such.
    if (given === AF_INET && raw.length >= SOCKADDR_IN_SIZE) return { address: readAddress(raw, 4, 4), port, scope: 0 };
    return raw.length < SOCKADDR_IN6_MIN ? EINVAL : EAFNOSUPPORT;
  }
  if (raw.length < SOCKADDR_IN6_MIN) return EINVAL;
  const address = readAddress(raw, 8, 16);
  const scope = raw.length >= SOCKADDR_IN6_SIZE ? (raw[24] as number) | ((raw[25] as number) << 8) : 0;
  return { address: address.startsWith(MAPPED) ? address.slice(12) : address, port, scope };
}
/** As the socket's family shows it. */
export function encodeInetAddress(family: number, address: IpAddress, port: number): Uint8Array {
  const raw = new Uint8Array(family === AF_INET ? SOCKADDR_IN_SIZE : SOCKADDR_IN6_SIZE);
  raw[0] = family;
  raw[2] = port >>> 8;
  raw[3] = port;
  if (family === AF_INET) writeAddress(raw, 4, address);
  else writeAddress(raw, 8, sixteen(address));
  return raw;
}
export function sixteen(address: IpAddress): IpAddress {
  if (address.length === 16) return address;
  return address === '\0\0\0\0' ? ANY6 : MAPPED + address;
}
