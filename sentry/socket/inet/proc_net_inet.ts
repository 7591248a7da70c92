/** The text of /proc/net/tcp, tcp6, udp and udp6 (proc_pid_net(5)). */
import type { ByteString } from '../../../lib/byte_string.ts';
import { ANY4, ANY6, type IpAddress } from '../../../netstack/address.ts';
import type { Connection } from '../../../netstack/tcp/connection.ts';
import { sixteen } from './inet_address.ts';
import { InetDatagram } from './inet_datagram.ts';
import { InetStream } from './inet_stream.ts';
import type { Network } from './networks.ts';

const COLUMNS = 'st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode';
const TCP4 = `  sl  local_address rem_address   ${COLUMNS}`.padEnd(149);
const TCP6 = `  sl  local_address                         remote_address                        ${COLUMNS}`;
const UDP4 = `  sl  local_address rem_address   ${COLUMNS} ref pointer drops             `;
const UDP6 = `  sl  local_address                         remote_address                        ${COLUMNS} ref pointer drops`;

interface Row {
  readonly local: IpAddress;
  readonly localPort: number;
  readonly remote: IpAddress;
  readonly remotePort: number;
  readonly state: number;
  readonly sendQueue: number;
  readonly receiveQueue: number;
  readonly retries: number;
  readonly uid: number;
  readonly ino: number;
  readonly tail: string;
}

export function tcpTable(network: Network, version: 4 | 6): ByteString {
  const rows: Row[] = [];
  const owned = new Set<Connection>();
  const tail = ' 1 0000000000000000 100 0 0 10 0';
  for (const socket of network.sockets) {
    if (!(socket instanceof InetStream) || socket.version !== version) continue;
    const { uid, ino, listener, connection: c } = socket;
    if (listener !== null) {
      const { address: local, port: localPort } = listener.binding;
      const queued = { sendQueue: 0, receiveQueue: listener.waiting, retries: 0 };
      rows.push({ local, localPort, remote: version === 4 ? ANY4 : ANY6, remotePort: 0, state: 10, ...queued, uid, ino, tail });
    } else if (c !== null && c.state !== 7) {
      owned.add(c);
      rows.push(connectionRow(c, uid, ino, tail));
    }
  }
  for (const c of network.stack.tcp.all()) {
    if (owned.has(c) || !c.orphan || c.remote.length !== (version === 4 ? 4 : 16)) continue;
    rows.push(connectionRow(c, 0, 0, tail));
  }
  return text(version === 4 ? TCP4 : TCP6, version, rows);
}
function connectionRow(c: Connection, uid: number, ino: number, tail: string): Row {
  const { local, localPort, remote, remotePort, state, retries } = c;
  const queued = { sendQueue: c.sending.length, receiveQueue: c.receiving.ring.length, retries };
  return { local, localPort, remote, remotePort, state, ...queued, uid, ino, tail };
}

export function udpTable(network: Network, version: 4 | 6): ByteString {
  const rows: Row[] = [];
  for (const socket of network.sockets) {
    if (!(socket instanceof InetDatagram) || socket.version !== version || socket.endpoint.port === 0) continue;
    const { endpoint: e, uid, ino } = socket;
    rows.push({
      local: e.local,
      localPort: e.port,
      remote: e.remote ?? (version === 4 ? ANY4 : ANY6),
      remotePort: e.remotePort,
      state: socket.stateCode,
      sendQueue: 0,
      receiveQueue: e.queuedBytes,
      retries: 0,
      uid,
      ino,
      tail: ` 2 0000000000000000 ${e.drops}`,
    });
  }
  return text(version === 4 ? UDP4 : UDP6, version, rows);
}

const hex = (n: number, width: number): string => n.toString(16).toUpperCase().padStart(width, '0');
/** Words of four bytes in the byte order of the machine. */
function place(address: IpAddress, port: number, version: 4 | 6): string {
  const full = version === 6 ? sixteen(address) : address;
  let out = '';
  for (let i = 0; i < full.length; i += 4) for (let b = 3; b >= 0; b--) out += hex(full.charCodeAt(i + b), 2);
  return `${out}:${hex(port, 4)}`;
}
function text(heading: string, version: 4 | 6, rows: readonly Row[]): ByteString {
  let out = `${heading}\n`;
  for (const [i, r] of rows.entries()) {
    const ends = `${place(r.local, r.localPort, version)} ${place(r.remote, r.remotePort, version)}`;
    const queues = `${hex(r.sendQueue, 8)}:${hex(r.receiveQueue, 8)} 00:00000000 ${hex(r.retries, 8)}`;
    const line = `${String(i).padStart(4)}: ${ends} ${hex(r.state, 2)} ${queues} ${String(r.uid).padStart(5)}        0 ${r.ino}${r.tail}`;
    out += `${line.padEnd(version === 4 ? 149 : 0)}\n`;
  }
  return out;
}
