/** AF_INET and AF_INET6 as the kernel sees them: sockets, /proc/net, addresses and routes for netlink. */
import { EPERM, EPROTONOSUPPORT, type Errno, ESOCKTNOSUPPORT } from '../../../abi/errno.ts';
import { IPPROTO_ICMP, IPPROTO_ICMPV6, IPPROTO_TCP, IPPROTO_UDP } from '../../../abi/in.ts';
import { AF_INET, AF_INET6, AF_PACKET, SOCK_DGRAM, SOCK_RAW, SOCK_STREAM } from '../../../abi/socket.ts';
import type { ByteString } from '../../../lib/byte_string.ts';
import { CAP_NET_RAW } from '../../kernel/credentials.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import type { Task } from '../../kernel/task.ts';
import { hasNetCap } from '../net_capability.ts';
import type { Socket } from '../socket.ts';
import { makeHostSocket } from './host/host_socket.ts';
import { InetDatagram } from './inet_datagram.ts';
import { makePing } from './inet_ping.ts';
import { makeRaw } from './inet_raw.ts';
import { InetStream } from './inet_stream.ts';
import { IptOptions } from './iptables/ipt_options.ts';
import { type Network, Networks } from './networks.ts';
import { makePacketSocket } from './packet/packet_socket.ts';
import { rawTable, tcpTable, udpTable } from './proc_net_inet.ts';
import * as T from './proc_net_stack.ts';
import { stackDevices } from './stack_devices.ts';
import { stackRoutes } from './stack_routes.ts';
import { registerTunDevice } from './tun/register.ts';

const TABLES: readonly (readonly [name: string, table: (network: Network) => ByteString])[] = [
  ['route', T.routeTable],
  ['ipv6_route', T.route6Table],
  ['if_inet6', T.address6Table],
  ['arp', T.arpTable],
  ['igmp', T.groupTable],
  ['packet', T.packetTable],
  ['snmp', T.snmpTable],
  ['netstat', T.netstatTable],
  ['sockstat', T.sockstatTable],
];

/** Gives the kernel its network. */
export function registerInet(kernel: Kernel): Networks {
  const networks = new Networks(kernel);
  const make =
    (family: number) =>
    (task: Task, type: number, protocol: number): Socket | Errno => {
      const network = networks.of(task.namespaces.net);
      if (network.host !== null) return makeHostSocket(task, network.host, family, type, protocol);
      if (type === SOCK_STREAM) return protocol === 0 || protocol === IPPROTO_TCP ? new InetStream(task, network, family) : EPROTONOSUPPORT;
      if (type === SOCK_RAW) return hasNetCap(task, CAP_NET_RAW) ? makeRaw(task, network, family, protocol) : EPERM;
      if (type !== SOCK_DGRAM) return ESOCKTNOSUPPORT;
      if (protocol === (family === AF_INET ? IPPROTO_ICMP : IPPROTO_ICMPV6)) return makePing(task, network, family, protocol);
      return protocol === 0 || protocol === IPPROTO_UDP ? new InetDatagram(task, network, family) : EPROTONOSUPPORT;
    };
  kernel.socketFamilies.register(AF_INET, make(AF_INET));
  kernel.socketFamilies.register(AF_INET6, make(AF_INET6));
  kernel.socketFamilies.register(AF_PACKET, (task, type, protocol) =>
    makePacketSocket(task, networks.of(task.namespaces.net), type, protocol),
  );
  for (const name of ['ip_tables_names', 'ip6_tables_names']) kernel.procNet.set(name, () => 'filter\nnat\nmangle\nraw\n');
  kernel.procNet.set('tcp', (net) => tcpTable(networks.of(net), 4));
  kernel.procNet.set('tcp6', (net) => tcpTable(networks.of(net), 6));
  kernel.procNet.set('udp', (net) => udpTable(networks.of(net), 4));
  kernel.procNet.set('udp6', (net) => udpTable(networks.of(net), 6));
  kernel.procNet.set('raw', (net) => rawTable(networks.of(net), 4));
  kernel.procNet.set('raw6', (net) => rawTable(networks.of(net), 6));
  for (const [name, table] of TABLES) kernel.procNet.set(name, (net) => table(networks.of(net)));
  kernel.packetFilters = new IptOptions();
  kernel.routeProvider = stackRoutes(networks);
  kernel.endNetwork = (net) => networks.end(net);
  kernel.netDevices = (net) => stackDevices(networks, net);
  registerTunDevice(kernel, networks);
  return networks;
}
