/** NETLINK_SOCK_DIAG (sock_diag(7)): what ss(8) lists: TCP, UDP, raw and unix sockets of the caller's network. */
import { EINVAL, ENOENT, type Errno } from '../../../abi/errno.ts';
import { IPPROTO_RAW, IPPROTO_TCP, IPPROTO_UDP } from '../../../abi/in.ts';
import * as D from '../../../abi/sock_diag.ts';
import { AF_INET, AF_INET6, AF_UNIX } from '../../../abi/socket.ts';
import { NetlinkMessage } from '../../../lib/netlink_message.ts';
import { writeAddress } from '../../../netstack/address.ts';
import type { Task } from '../../kernel/task.ts';
import { type ListedSocket, rawSockets, tcpSockets, udpSockets } from './socket_list.ts';
import { tcpInfo } from './tcp_info.ts';

const ALL_STATES = 0xffff_ffff;

/** `body`: what follows the nlmsghdr. */
export function answerSockDiag(task: Task, type: number, flags: number, body: Uint8Array): NetlinkMessage[] | Errno {
  if (type !== D.SOCK_DIAG_BY_FAMILY) return EINVAL;
  const family = body[0] ?? 0;
  if (family === AF_UNIX) return body.length < D.UNIX_REQUEST_SIZE ? EINVAL : unixSockets(task, flags, body);
  if (family !== AF_INET && family !== AF_INET6) return ENOENT;
  if (body.length < D.INET_REQUEST_SIZE) return EINVAL;
  const list = listOf(task, body[1] as number, family === AF_INET ? 4 : 6);
  if (list === null) return ENOENT;
  const view = new DataView(body.buffer, body.byteOffset, body.length);
  const states = view.getUint32(4, true) || ALL_STATES;
  const extensions = body[2] as number;
  return list.filter(({ state }) => (states & (1 << state)) !== 0).map((socket) => inetMessage(socket, family, extensions, flags));
}
function listOf(task: Task, protocol: number, version: 4 | 6): ListedSocket[] | null {
  const network = task.kernel.networks.of(task.namespaces.net);
  if (protocol === IPPROTO_TCP) return tcpSockets(network, version);
  if (protocol === IPPROTO_UDP) return udpSockets(network, version);
  return protocol === IPPROTO_RAW ? rawSockets(network, version) : null;
}

/** struct inet_diag_msg. */
function inetMessage(socket: ListedSocket, family: number, extensions: number, flags: number): NetlinkMessage {
  const body = new Uint8Array(D.INET_MESSAGE_SIZE);
  const view = new DataView(body.buffer);
  const { local, remote, connection } = socket;
  body[0] = family;
  body[1] = socket.state;
  body[2] = connection !== null && connection.retries > 0 ? 1 : 0; // which timer runs
  body[3] = Math.min(socket.retries, 255);
  view.setUint16(4, socket.localPort, false);
  view.setUint16(6, socket.remotePort, false);
  writeAddress(body, 8, shown(local, family));
  writeAddress(body, 24, shown(remote, family));
  view.setUint32(40, socket.device, true);
  view.setUint32(44, socket.ino, true);
  view.setUint32(56, socket.receiveQueue, true);
  view.setUint32(60, socket.backlog > 0 ? socket.backlog : socket.sendQueue, true);
  view.setUint32(64, socket.uid, true);
  view.setUint32(68, socket.ino, true);
  const message = new NetlinkMessage(D.SOCK_DIAG_BY_FAMILY, flags & 2, body).u8(D.INET_DIAG_SHUTDOWN, 0);
  if (connection !== null && (extensions & (1 << (D.INET_DIAG_INFO - 1))) !== 0) {
    message.attribute(D.INET_DIAG_INFO, tcpInfo(socket.state, connection));
  }
  if (connection !== null && (extensions & (1 << (D.INET_DIAG_CONG - 1))) !== 0) message.text(D.INET_DIAG_CONG, connection.congestion.name);
  return message;
}
/** An IPv6 socket's IPv4 addresses are mapped. */
function shown(address: string, family: number): string {
  return family === AF_INET6 && address.length === 4 ? `${'\0'.repeat(10)}\xff\xff${address}` : address;
}

/** struct unix_diag_req and unix_diag_msg. */
function unixSockets(task: Task, flags: number, body: Uint8Array): NetlinkMessage[] {
  const view = new DataView(body.buffer, body.byteOffset, body.length);
  const states = view.getUint32(4, true) || ALL_STATES;
  const ino = view.getUint32(8, true);
  const show = view.getUint32(12, true);
  const found: NetlinkMessage[] = [];
  for (const socket of task.kernel.unix.sockets) {
    if (socket.net !== task.namespaces.net || (ino !== 0 && socket.ino !== ino)) continue;
    const state = socket.listening ? D.TCP_LISTEN : socket.stateCode === D.SS_CONNECTED ? D.TCP_ESTABLISHED : D.TCP_CLOSE;
    if ((states & (1 << state)) === 0) continue;
    const fixed = new Uint8Array(D.UNIX_MESSAGE_SIZE);
    fixed[0] = AF_UNIX;
    fixed[1] = socket.type;
    fixed[2] = state;
    new DataView(fixed.buffer).setUint32(4, socket.ino, true);
    new DataView(fixed.buffer).setUint32(8, socket.ino, true);
    const message = new NetlinkMessage(D.SOCK_DIAG_BY_FAMILY, flags & 2, fixed);
    if ((show & D.UDIAG_SHOW_NAME) !== 0 && socket.address !== '') {
      message.attribute(D.UNIX_DIAG_NAME, Buffer.from(socket.address.replace(/^([^\0].*)\0$/s, '$1'), 'latin1'));
    }
    if ((show & D.UDIAG_SHOW_RQLEN) !== 0) message.attribute(D.UNIX_DIAG_RQLEN, new Uint8Array(8));
    found.push(message.u8(D.UNIX_DIAG_SHUTDOWN, 0));
  }
  return found;
}
