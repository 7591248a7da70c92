/** The text of /proc/net's tables about addresses, routes, neighbours and counters (proc_pid_net(5)). */
import type { ByteString } from '../../../lib/byte_string.ts';
import { type IpAddress, isLinkLocal6, isLoopback } from '../../../netstack/address.ts';
import { EthernetInterface } from '../../../netstack/link/ethernet.ts';
import { NUD_INCOMPLETE, NUD_PERMANENT } from '../../../netstack/link/neighbours.ts';
import { InetDatagram } from './inet_datagram.ts';
import { InetRaw } from './inet_raw.ts';
import type { Network } from './networks.ts';

const hex = (n: number, width: number): string => n.toString(16).padStart(width, '0');
const upper = (n: number, width: number): string => hex(n >>> 0, width).toUpperCase();
/** IPv4 as a number in the byte order of the machine. */
const word = (address: IpAddress): number => [...address].reduceRight((n, c) => n * 256 + c.charCodeAt(0), 0);
const bytes = (address: IpAddress): string => [...address].map((c) => hex(c.charCodeAt(0), 2)).join('');
const dotted = (address: IpAddress): string => [...address].map((c) => c.charCodeAt(0)).join('.');
const RTF_UP = 1;
const RTF_GATEWAY = 2;
const RTF_HOST = 4;

export function routeTable(network: Network): ByteString {
  const heading = 'Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT';
  let text = `${heading.padEnd(127)}\n`;
  for (const { destination, prefixLength, gateway, device, metric, table } of network.stack.routes.entries) {
    if (destination.length !== 4 || table !== undefined) continue;
    const mask = prefixLength === 0 ? 0 : (0xffff_ffff << (32 - prefixLength)) >>> 0;
    const flags = RTF_UP | (gateway === null ? 0 : RTF_GATEWAY) | (prefixLength === 32 ? RTF_HOST : 0);
    const shown = String.fromCharCode(mask >>> 24, (mask >>> 16) & 255, (mask >>> 8) & 255, mask & 255);
    const ends = `${upper(word(destination), 8)}\t${upper(gateway === null ? 0 : word(gateway), 8)}`;
    text += `${`${device.name}\t${ends}\t${upper(flags, 4)}\t0\t0\t${metric}\t${upper(word(shown), 8)}\t0\t0\t0`.padEnd(127)}\n`;
  }
  return text;
}
export function route6Table(network: Network): ByteString {
  let text = '';
  for (const { destination, prefixLength, gateway, device, metric } of network.stack.routes.entries) {
    if (destination.length !== 16) continue;
    const flags = RTF_UP | (gateway === null ? 0 : RTF_GATEWAY);
    const none = '0'.repeat(32);
    const ends = `${bytes(destination)} ${hex(prefixLength, 2)} ${none} 00 ${gateway === null ? none : bytes(gateway)}`;
    text += `${ends} ${hex(metric, 8)} 00000001 00000000 ${hex(flags, 8)} ${device.name.padStart(8)}\n`;
  }
  return text;
}
export function address6Table(network: Network): ByteString {
  let text = '';
  for (const device of network.stack.interfaces) {
    for (const { address, prefixLength } of device.addresses) {
      if (address.length !== 16) continue;
      const scope = isLoopback(address) ? 0x10 : isLinkLocal6(address) ? 0x20 : 0;
      text += `${bytes(address)} ${hex(device.index, 2)} ${hex(prefixLength, 2)} ${hex(scope, 2)} 80 ${device.name.padStart(8)}\n`;
    }
  }
  return text;
}
export function arpTable(network: Network): ByteString {
  let text = 'IP address       HW type     Flags       HW address            Mask     Device\n';
  for (const device of network.stack.interfaces) {
    if (!(device instanceof EthernetInterface)) continue;
    for (const { address, hardware, state } of device.neighbours.all()) {
      if (address.length !== 4) continue;
      const flags = state === NUD_INCOMPLETE || hardware === null ? 0 : state === NUD_PERMANENT ? 6 : 2;
      const shown = [...(hardware ?? new Uint8Array(6))].map((byte) => hex(byte, 2)).join(':');
      text += `${dotted(address).padEnd(16)} 0x1         0x${hex(flags, 1)}         ${shown}     *        ${device.name}\n`;
    }
  }
  return text;
}
export function groupTable(network: Network): ByteString {
  let text = 'Idx\tDevice    : Count Querier\tGroup    Users Timer\tReporter\n';
  for (const device of network.stack.interfaces) {
    const groups = [...network.stack.groups.of(device)].filter(({ group }) => group.length === 4);
    text += `${device.index}\t${device.name.padEnd(10)}: ${String(groups.length).padStart(5)}      V3\n`;
    for (const { group, users } of groups) text += `\t\t\t\t${upper(word(group), 8)} ${String(users).padStart(5)} 0:00000000\t\t0\n`;
  }
  return text;
}
export function packetTable(network: Network): ByteString {
  let text = 'sk               RefCnt Type Proto  Iface R Rmem   User   Inode\n';
  for (const socket of network.packetSockets) {
    const numbers = `${hex(socket.ethertype, 4)}   ${String(socket.device).padEnd(5)} 1 ${String(socket.queuedBytes).padEnd(6)}`;
    text += `0000000000000000 3      ${String(socket.type).padEnd(4)} ${numbers} 0      ${String(socket.ino).padEnd(6)}\n`;
  }
  return text;
}

/** Two lines: names, then numbers. */
function pair(name: string, counters: Readonly<Record<string, number>>): string {
  return `${name}: ${Object.keys(counters).join(' ')}\n${name}: ${Object.values(counters).join(' ')}\n`;
}
export function snmpTable({ stack }: Network): ByteString {
  const { ip, icmp, tcp, udp } = stack.counters;
  const established = [...stack.tcp.all()].filter(({ state }) => state === 1 || state === 8).length;
  const fixed = { RtoAlgorithm: 1, RtoMin: 200, RtoMax: 120_000, MaxConn: -1 };
  const { ActiveOpens, PassiveOpens, AttemptFails, EstabResets, InSegs, OutSegs, RetransSegs, InErrs, OutRsts } = tcp;
  const opened = { ActiveOpens, PassiveOpens, AttemptFails, EstabResets, CurrEstab: established };
  return (
    pair('Ip', { Forwarding: stack.settings.forwards4 ? 1 : 2, DefaultTTL: stack.settings.defaultTtl, ...ip }) +
    pair('Icmp', icmp) +
    pair('Tcp', { ...fixed, ...opened, InSegs, OutSegs, RetransSegs, InErrs, OutRsts, InCsumErrors: 0 }) +
    pair('Udp', udp)
  );
}
export function netstatTable({ stack }: Network): ByteString {
  return pair('TcpExt', stack.counters.tcpExt) + pair('IpExt', { InNoRoutes: 0, InTruncatedPkts: 0 });
}
export function sockstatTable(network: Network): ByteString {
  const { stack, sockets } = network;
  const connections = [...stack.tcp.all()];
  const orphans = connections.filter((c) => c.orphan && c.state !== 6).length;
  const waiting = connections.filter((c) => c.state === 6).length;
  const udp = [...sockets].filter((s) => s instanceof InetDatagram && s.version === 4).length;
  const raw = [...sockets].filter((s) => s instanceof InetRaw && s.version === 4).length;
  return (
    `sockets: used ${sockets.size}\nTCP: inuse ${connections.length - waiting} orphan ${orphans} tw ${waiting} alloc ${connections.length} mem 0\n` +
    `UDP: inuse ${udp} mem 0\nUDPLITE: inuse 0\nRAW: inuse ${raw}\nFRAG: inuse 0 memory 0\n`
  );
}
