/** NETLINK_ROUTE (rtnetlink(7)): links, addresses, routes, rules and neighbours, listed, looked up and changed. */
import { EINVAL, ENODEV, EOPNOTSUPP, EPERM, type Errno } from '../../../abi/errno.ts';
import * as L from '../../../abi/netlink.ts';
import { AF_INET, AF_UNSPEC } from '../../../abi/socket.ts';
import { type NetlinkMessage, parseAttributes } from '../../../lib/netlink_message.ts';
import type { NetDevice } from '../../fs/sys/net_class.ts';
import { CAP_NET_ADMIN, hasCapIn } from '../../kernel/credentials.ts';
import type { Task } from '../../kernel/task.ts';
import { addressMessage, linkMessage, neighbourMessage, routeMessage, ruleMessage } from './route_messages.ts';
import type { InterfaceAddress, NeighbourEntry, RouteEntry, RuleEntry } from './route_provider.ts';

/** One request. `body`: what follows the header. The messages to answer with, or an errno. */
export function answerRoute(task: Task, type: number, flags: number, body: Uint8Array): NetlinkMessage[] | Errno {
  const dump = (flags & L.NLM_F_DUMP) === L.NLM_F_DUMP;
  const multi = dump ? L.NLM_F_MULTI : 0;
  switch (type) {
    case L.RTM_GETLINK:
      return dump ? links(task).map((device) => linkMessage(device, multi)) : oneLink(task, body);
    case L.RTM_GETADDR:
      return addresses(task, body).map((address) => addressMessage(address, multi));
    case L.RTM_GETROUTE:
      return dump ? routes(task, body).map((route) => routeMessage(route, multi)) : oneRoute(task, body);
    case L.RTM_GETNEIGH:
      return dump ? neighbours(task, body).map((entry) => neighbourMessage(entry, multi)) : EOPNOTSUPP;
    case L.RTM_GETRULE:
      return dump ? rules(task, body).map((rule) => ruleMessage(rule, multi)) : EOPNOTSUPP;
    default:
      return change(task, type, flags, body);
  }
}

function change(task: Task, type: number, flags: number, body: Uint8Array): NetlinkMessage[] | Errno {
  if ((type & 3) === 2) return EOPNOTSUPP; // another kind of object to look at
  if (!hasCapIn(task.creds, CAP_NET_ADMIN, task.namespaces.net.owner)) return EPERM;
  const r = task.kernel.routeProvider.change(task, type, flags, body);
  return r === null ? EOPNOTSUPP : r === 0 ? [] : r;
}

function links(task: Task): readonly NetDevice[] {
  return task.kernel.netDevices(task.namespaces.net);
}
function oneLink(task: Task, body: Uint8Array): NetlinkMessage[] | Errno {
  if (body.length < L.Ifinfomsg.size) return EINVAL;
  const { ifi_index } = L.Ifinfomsg.decode(body);
  const name = parseAttributes(body.subarray(L.Ifinfomsg.size)).get(L.IFLA_IFNAME);
  const text = name === undefined ? null : Buffer.from(name).toString('latin1').replace(/\0.*$/s, '');
  const device = links(task).find((d) => (ifi_index !== 0 ? d.index === ifi_index : d.name === text));
  return device === undefined ? ENODEV : [linkMessage(device, 0)];
}

/** The family is the first byte of every request's fixed part; 0 means all. */
function wanted(body: Uint8Array): (object: { readonly family: number }) => boolean {
  const family = body[0] ?? AF_UNSPEC;
  return (object) => family === AF_UNSPEC || object.family === family;
}
function addresses(task: Task, body: Uint8Array): InterfaceAddress[] {
  return task.kernel.routeProvider.addresses(task.namespaces.net).filter(wanted(body));
}
function rules(task: Task, body: Uint8Array): RuleEntry[] {
  return task.kernel.routeProvider.rules(task.namespaces.net).filter(wanted(body));
}
function routes(task: Task, body: Uint8Array): RouteEntry[] {
  return task.kernel.routeProvider.routes(task.namespaces.net).filter(wanted(body));
}
/** The way that a packet to RTA_DST would take, from RTA_SRC and with RTA_MARK if they are given. */
function oneRoute(task: Task, body: Uint8Array): NetlinkMessage[] | Errno {
  if (body.length < L.Rtmsg.size) return EINVAL;
  const attributes = parseAttributes(body.subarray(L.Rtmsg.size));
  const destination = attributes.get(L.RTA_DST);
  if (destination === undefined || destination.length !== (body[0] === AF_INET ? 4 : 16)) return EINVAL;
  const source = attributes.get(L.RTA_SRC);
  if (source !== undefined && source.length !== destination.length) return EINVAL;
  const [mark, index] = [attributes.get(L.RTA_MARK), attributes.get(L.RTA_OIF)].map((bytes) =>
    bytes?.length === 4 ? new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true) : 0,
  ) as [number, number];
  const found = task.kernel.routeProvider.lookup(task.namespaces.net, { destination, source: source ?? null, mark, index });
  return typeof found === 'number' ? found : [routeMessage(found, 0)];
}

/** ndm_ifindex narrows the list to one interface. */
function neighbours(task: Task, body: Uint8Array): NeighbourEntry[] {
  const index = body.length >= L.Ndmsg.size ? L.Ndmsg.decode(body).ndm_ifindex : 0;
  const all = task.kernel.routeProvider.neighbours(task.namespaces.net).filter(wanted(body));
  return index === 0 ? all : all.filter((entry) => entry.index === index);
}
