/** The text of /proc/net/tcp, udp, raw and their IPv6 brothers (proc_pid_net(5)). */
import type { ByteString } from '../../../lib/byte_string.ts';
import type { IpAddress } from '../../../netstack/address.ts';
import { sixteen } from './inet_address.ts';
import type { Network } from './networks.ts';
import { type ListedSocket, rawSockets, tcpSockets, udpSockets } from './socket_list.ts';

const COLUMNS = 'st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode';
const TCP4 = `  sl  local_address rem_address   ${COLUMNS}`.padEnd(149);
const TCP6 = `  sl  local_address                         remote_address                        ${COLUMNS}`;
const UDP4 = `  sl  local_address rem_address   ${COLUMNS} ref pointer drops             `;
const UDP6 = `  sl  local_address                         remote_address                        ${COLUMNS} ref pointer drops`;

export function tcpTable(network: Network, version: 4 | 6): ByteString {
  return text(version === 4 ? TCP4 : TCP6, version, tcpSockets(network, version), () => ' 1 0000000000000000 100 0 0 10 0');
}
export function udpTable(network: Network, version: 4 | 6): ByteString {
  return text(version === 4 ? UDP4 : UDP6, version, udpSockets(network, version), ({ drops }) => ` 2 0000000000000000 ${drops}`);
}
export function rawTable(network: Network, version: 4 | 6): ByteString {
  return text(version === 4 ? UDP4.trimEnd() : UDP6, version, rawSockets(network, version), ({ drops }) => ` 2 0000000000000000 ${drops}`);
}

const hex = (n: number, width: number): string => n.toString(16).toUpperCase().padStart(width, '0');
/** Words of four bytes in the byte order of the machine. */
function place(address: IpAddress, port: number, version: 4 | 6): string {
  const full = version === 6 ? sixteen(address) : address;
  let out = '';
  for (let i = 0; i < full.length; i += 4) for (let b = 3; b >= 0; b--) out += hex(full.charCodeAt(i + b), 2);
  return `${out}:${hex(port, 4)}`;
}
function text(heading: string, version: 4 | 6, rows: readonly ListedSocket[], tail: (row: ListedSocket) => string): ByteString {
  let out = `${heading}\n`;
  for (const [i, r] of rows.entries()) {
    const ends = `${place(r.local, r.localPort, version)} ${place(r.remote, r.remotePort, version)}`;
    const queues = `${hex(r.sendQueue, 8)}:${hex(r.receiveQueue, 8)} 00:00000000 ${hex(r.retries, 8)}`;
    const line = `${String(i).padStart(4)}: ${ends} ${hex(r.state, 2)} ${queues} ${String(r.uid).padStart(5)}        0 ${r.ino}${tail(r)}`;
    out += `${line.padEnd(version === 4 ? 149 : 0)}\n`;
  }
  return out;
}
