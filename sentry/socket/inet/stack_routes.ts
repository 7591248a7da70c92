/** Interfaces, addresses, routes and rules of the stacks, as netlink, /sys/class/net and netdevice(7) show them. */
import { type Errno, isErrno } from '../../../abi/errno.ts';
import * as L from '../../../abi/netlink.ts';
import {
  RT_SCOPE_HOST,
  RT_SCOPE_LINK,
  RT_SCOPE_UNIVERSE,
  RT_TABLE_LOCAL,
  RT_TABLE_MAIN,
  RTN_LOCAL,
  RTN_UNICAST,
} from '../../../abi/netlink.ts';
import { AF_INET, AF_INET6 } from '../../../abi/socket.ts';
import { addressBytes, isLinkLocal6, isLoopback, readAddress } from '../../../netstack/address.ts';
import { EthernetInterface } from '../../../netstack/link/ethernet.ts';
import type { PolicyRule } from '../../../netstack/policy_rules.ts';
import type { Stack } from '../../../netstack/stack.ts';
import type { NetNamespace } from '../../kernel/namespaces.ts';
import type { InterfaceAddress, NeighbourEntry, RouteEntry, RouteProvider, RouteQuestion, RuleEntry } from '../netlink/route_provider.ts';
import { makeOrMoveLink } from './link_making.ts';
import type { Networks } from './networks.ts';
import { ACTIONS } from './rule_changes.ts';
import { changeStack } from './stack_changes.ts';

const RTPROT_BOOT = 3;

export function stackRoutes(networks: Networks): RouteProvider {
  return {
    addresses: (namespace) => addressesOf(networks, namespace),
    routes: (namespace) => routesOf(networks, namespace),
    neighbours: (namespace) => neighboursOf(networks, namespace),
    rules: (namespace) => networks.of(namespace).stack.routes.rules.all.map(ruleEntry),
    lookup: (namespace, question) => lookUp(networks.of(namespace).stack, question),
    watch: (namespace, changed) => {
      networks.of(namespace).stack.onChange = changed;
    },
    change: (task, type, flags, payload) => {
      const { stack } = networks.of(task.namespaces.net);
      const made = makeOrMoveLink(task, networks, type, flags, payload);
      const r = made ?? changeStack(stack, type, flags, payload);
      stack.deliver();
      if (r === 0) stack.onChange();
      return r;
    },
  };
}

function addressesOf(networks: Networks, namespace: NetNamespace): InterfaceAddress[] {
  return networks.of(namespace).stack.interfaces.flatMap((device) =>
    device.addresses.map(({ address, prefixLength, broadcast, peer }) => ({
      family: address.length === 4 ? AF_INET : AF_INET6,
      address: addressBytes(address),
      ...(broadcast === null ? {} : { broadcast: addressBytes(broadcast) }),
      ...(peer === undefined ? {} : { peer: addressBytes(peer) }),
      prefixLength,
      scope: isLoopback(address) ? RT_SCOPE_HOST : isLinkLocal6(address) ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE,
      index: device.index,
      label: device.name,
    })),
  );
}

function routesOf(networks: Networks, namespace: NetNamespace): RouteEntry[] {
  return networks.of(namespace).stack.routes.entries.map((entry) => ({
    family: entry.destination.length === 4 ? AF_INET : AF_INET6,
    destination: entry.prefixLength === 0 ? new Uint8Array(0) : addressBytes(entry.destination),
    prefixLength: entry.prefixLength,
    ...(entry.gateway === null ? {} : { gateway: addressBytes(entry.gateway) }),
    ...(entry.source === null ? {} : { source: addressBytes(entry.source) }),
    index: entry.device.index,
    table: entry.table ?? RT_TABLE_MAIN,
    // Routes of IPv6 have no scopes.
    scope: entry.gateway === null && entry.destination.length === 4 ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE,
    type: RTN_UNICAST,
    protocol: entry.protocol ?? RTPROT_BOOT,
    ...(entry.metric === 0 ? {} : { metric: entry.metric }),
    ...(entry.device.up && !entry.device.carrier ? { linkDown: true } : {}),
  }));
}

function ruleEntry(rule: PolicyRule): RuleEntry {
  const { version, priority, inverted, source, destination, mark, mask, input, output, action, suppressed, protocol } = rule;
  const none = new Uint8Array(0);
  return {
    family: version === 4 ? AF_INET : AF_INET6,
    ...{ priority, inverted, mark, mask, input, output, suppressed, protocol },
    source: source === null ? none : addressBytes(source.address),
    sourceLength: source?.length ?? 0,
    destination: destination === null ? none : addressBytes(destination.address),
    destinationLength: destination?.length ?? 0,
    action: 'table' in action ? L.FR_ACT_TO_TBL : (ACTIONS.find(([, errno]) => errno === action.refuse)?.[0] ?? L.FR_ACT_BLACKHOLE),
    table: 'table' in action ? action.table : 0,
  };
}
function lookUp(stack: Stack, { destination, source, mark, index }: RouteQuestion): RouteEntry | Errno {
  const target = readAddress(destination, 0, destination.length);
  const way = stack.route(target, source === null ? null : readAddress(source, 0, source.length), index, mark);
  if (isErrno(way)) return way;
  const local = way.device.loopback;
  return {
    family: target.length === 4 ? AF_INET : AF_INET6,
    destination,
    prefixLength: destination.length * 8,
    ...(way.nextHop === target ? {} : { gateway: addressBytes(way.nextHop) }),
    source: addressBytes(way.source),
    index: way.device.index,
    table: local ? RT_TABLE_LOCAL : RT_TABLE_MAIN,
    scope: RT_SCOPE_UNIVERSE,
    type: local ? RTN_LOCAL : RTN_UNICAST,
    protocol: 0,
    cloned: true,
    ...(source === null ? {} : { from: source }),
  };
}

function neighboursOf(networks: Networks, namespace: NetNamespace): NeighbourEntry[] {
  const found: NeighbourEntry[] = [];
  for (const device of networks.of(namespace).stack.interfaces) {
    if (!(device instanceof EthernetInterface)) continue;
    for (const entry of device.neighbours.all()) {
      const { address, hardware, router } = entry;
      const state = device.neighbours.stateOf(entry);
      const family = address.length === 4 ? AF_INET : AF_INET6;
      found.push({ family, address: addressBytes(address), hardware, state, router, index: device.index });
    }
  }
  return found;
}
