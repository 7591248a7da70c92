/** The sockets of one network, as /proc/net and sock_diag(7) show them. */
import { ANY4, ANY6, type IpAddress } from '../../../netstack/address.ts';
import type { Connection } from '../../../netstack/tcp/connection.ts';
import { InetDatagram } from './inet_datagram.ts';
import { InetRaw } from './inet_raw.ts';
import { InetStream } from './inet_stream.ts';
import type { Network } from './networks.ts';

export interface ListedSocket {
  readonly local: IpAddress;
  readonly localPort: number;
  readonly remote: IpAddress;
  readonly remotePort: number;
  /** As TCP_INFO has it. */
  readonly state: number;
  readonly sendQueue: number;
  readonly receiveQueue: number;
  readonly retries: number;
  readonly uid: number;
  /** 0: nobody has it open any more. */
  readonly ino: number;
  readonly drops: number;
  /** Index of the only interface, or 0. */
  readonly device: number;
  readonly connection: Connection | null;
  /** Of a listener: how many may wait. */
  readonly backlog: number;
}
const CLOSED = 7;
const LISTEN = 10;
const NOTHING = { sendQueue: 0, receiveQueue: 0, retries: 0, drops: 0, device: 0, connection: null, backlog: 0 };

const anyOf = (version: 4 | 6): IpAddress => (version === 4 ? ANY4 : ANY6);

export function tcpSockets(network: Network, version: 4 | 6): ListedSocket[] {
  const rows: ListedSocket[] = [];
  const owned = new Set<Connection>();
  for (const socket of network.sockets) {
    if (!(socket instanceof InetStream) || socket.version !== version) continue;
    const { uid, ino, device, listener, connection: c } = socket;
    if (listener !== null) {
      const { address: local, port: localPort } = listener.binding;
      const queued = { receiveQueue: listener.waiting, backlog: listener.backlog };
      rows.push({ ...NOTHING, local, localPort, remote: anyOf(version), remotePort: 0, state: LISTEN, ...queued, uid, ino, device });
    } else if (c !== null && c.state !== CLOSED) {
      owned.add(c);
      rows.push(connectionRow(c, uid, ino));
    }
  }
  for (const c of network.stack.tcp.all()) {
    if (!owned.has(c) && c.orphan && c.remote.length === (version === 4 ? 4 : 16)) rows.push(connectionRow(c, 0, 0));
  }
  return rows;
}
function connectionRow(c: Connection, uid: number, ino: number): ListedSocket {
  const { local, localPort, remote, remotePort, state, retries } = c;
  const queued = { sendQueue: c.sending.length, receiveQueue: c.receiving.ring.length, retries };
  return { ...NOTHING, local, localPort, remote, remotePort, state, ...queued, uid, ino, connection: c };
}

export function udpSockets(network: Network, version: 4 | 6): ListedSocket[] {
  const rows: ListedSocket[] = [];
  for (const socket of network.sockets) {
    if (!(socket instanceof InetDatagram) || socket.version !== version || socket.endpoint.port === 0) continue;
    const { endpoint: e, uid, ino, device } = socket;
    const { local, port: localPort, remotePort, drops } = e;
    const queued = { receiveQueue: e.queuedBytes, drops };
    rows.push({
      ...NOTHING,
      local,
      localPort,
      remote: e.remote ?? anyOf(version),
      remotePort,
      state: socket.stateCode,
      ...queued,
      uid,
      ino,
      device,
    });
  }
  return rows;
}

/** Their protocol is where others have a port. */
export function rawSockets(network: Network, version: 4 | 6): ListedSocket[] {
  const rows: ListedSocket[] = [];
  for (const socket of network.sockets) {
    if (!(socket instanceof InetRaw) || socket.version !== version) continue;
    const { raw, uid, ino, device, protocol } = socket;
    const queued = { receiveQueue: raw.queuedBytes, drops: raw.drops };
    const ends = { local: raw.local, localPort: protocol, remote: raw.remote ?? anyOf(version), remotePort: 0 };
    rows.push({ ...NOTHING, ...ends, state: socket.stateCode, ...queued, uid, ino, device });
  }
  return rows;
}
