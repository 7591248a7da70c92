/**
 * Keeps the host's own TCP/IP stack quiet in a sandbox's network namespace: the addresses stay on the interfaces (CNI's CHECK and DEL and
 * Docker look at them), but what comes in over a link finds no route. By policy routing, so it holds for every interface, those that
 * appear later included, and a kernel needs nothing but CONFIG_IP_MULTIPLE_TABLES:
 *
 *   1,2  answers of name servers to a port of HOST_PORTS: the host's (dockerd asks from inside of the namespace)
 *   3    anything else that came over a link: dropped without a word
 *   4    what the default rule 0 says, which is removed
 *
 * Processes of the host inside the namespace reach its loopback and the outside as before.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { EAFNOSUPPORT, EEXIST, ENOENT, EOPNOTSUPP, errnoName } from '../../abi/errno.ts';
import { O_CLOEXEC, O_RDONLY } from '../../abi/fcntl.ts';
import * as L from '../../abi/netlink.ts';
import { AF_INET, AF_INET6 } from '../../abi/socket.ts';
import { host } from '../../lib/host.ts';
import { NetlinkMessage } from '../../lib/netlink_message.ts';
import { RouteSocket } from '../../lib/rtnetlink.ts';
import { inNetworkNamespace } from './network_namespace.ts';
import { RuntimeError } from './types.ts';

const IPPROTO_TCP = 6;
const IPPROTO_UDP = 17;
const DNS_PORT = 53;
/** Local ports of the host's sockets in the namespace; sandboxes choose theirs below. */
const HOST_PORTS = [61_000, 65_534] as const;
/** Marks our rules (RTPROT_*: above what the kernel and routing daemons use). */
const OUR_MARK = 0x74;
const PORT_RANGE = '/proc/sys/net/ipv4/ip_local_port_range';
/** Listeners on the namespace's loopback stand for the sandbox's, whatever their port. */
const FIRST_PORT = '/proc/sys/net/ipv4/ip_unprivileged_port_start';

interface Rule {
  readonly priority: number;
  readonly action: 'local' | 'drop';
  /** Of a name server's answers alone. */
  readonly protocol?: number;
  readonly fromLinks?: boolean;
}
const RULES: readonly Rule[] = [
  { priority: 1, action: 'local', protocol: IPPROTO_UDP },
  { priority: 2, action: 'local', protocol: IPPROTO_TCP },
  { priority: 3, action: 'drop', fromLinks: true },
  { priority: 4, action: 'local' },
];
const DEFAULT_RULE: Rule = { priority: 0, action: 'local' };

function message(type: number, family: number, rule: Rule): NetlinkMessage {
  const flags = L.NLM_F_REQUEST | L.NLM_F_ACK | (type === L.RTM_NEWRULE ? L.NLM_F_CREATE | L.NLM_F_EXCL : 0);
  const body = L.FibRuleHdr.encode({
    family,
    dst_len: 0,
    src_len: 0,
    tos: 0,
    table: rule.action === 'local' ? L.RT_TABLE_LOCAL : 0,
    action: rule.action === 'local' ? L.FR_ACT_TO_TBL : L.FR_ACT_BLACKHOLE,
    flags: rule.fromLinks === true ? L.FIB_RULE_INVERT : 0,
  });
  const out = new NetlinkMessage(type, flags, body).u32(L.FRA_PRIORITY, rule.priority);
  if (rule.action === 'local') out.u32(L.FRA_TABLE, L.RT_TABLE_LOCAL);
  if (rule.fromLinks === true) out.text(L.FRA_IIFNAME, 'lo');
  if (rule !== DEFAULT_RULE) out.u8(L.FRA_PROTOCOL, OUR_MARK);
  if (rule.protocol === undefined) return out;
  return out
    .u8(L.FRA_IP_PROTO, rule.protocol)
    .attribute(L.FRA_SPORT_RANGE, range(DNS_PORT, DNS_PORT))
    .attribute(L.FRA_DPORT_RANGE, range(...HOST_PORTS));
}
/** struct fib_rule_port_range. */
function range(start: number, end: number): Uint8Array {
  return new Uint8Array(Uint16Array.of(start, end).buffer);
}

/** In the caller's network namespace. What was changed of /proc/sys, to be given back. @throws RuntimeError */
export function silenceHostStack(): Record<string, string> {
  withSocket((socket) => {
    for (const family of [AF_INET, AF_INET6]) {
      for (const rule of RULES) {
        const r = socket.change(message(L.RTM_NEWRULE, family, rule));
        // A kernel without IPv6 has nothing to silence.
        if (family === AF_INET6 && (r === EAFNOSUPPORT || r === EOPNOTSUPP)) return;
        if (r !== 0 && r !== EEXIST)
          throw new RuntimeError('Internal', `cannot add a routing rule to the network namespace: ${errnoName(r)}`);
      }
      const r = socket.change(message(L.RTM_DELRULE, family, DEFAULT_RULE));
      if (r !== 0 && r !== ENOENT)
        throw new RuntimeError('Internal', `cannot replace the routing rule 0 of the network namespace: ${errnoName(r)}`);
    }
  });
  const changed: Record<string, string> = {};
  for (const [path, value] of Object.entries({ [PORT_RANGE]: HOST_PORTS.join(' '), [FIRST_PORT]: '0' })) {
    const before = readSysctl(path);
    if (before !== null && writeSysctl(path, value)) changed[path] = before;
  }
  return changed;
}

/** Takes silenceHostStack back. */
export function restoreHostStack(sysctls: Readonly<Record<string, string>>): void {
  withSocket((socket) => {
    for (const family of [AF_INET, AF_INET6]) {
      const r = socket.change(message(L.RTM_NEWRULE, family, DEFAULT_RULE));
      if (r !== 0 && r !== EEXIST) continue;
      for (const rule of RULES) socket.change(message(L.RTM_DELRULE, family, rule));
    }
  });
  for (const [path, value] of Object.entries(sysctls)) writeSysctl(path, value);
}

/** restoreHostStack in a namespace that may be gone by now. */
export function leaveNetworkNamespace({
  path,
  changed,
}: {
  readonly path: string;
  readonly changed: Readonly<Record<string, string>>;
}): void {
  const fd = host.openat(-100, path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return;
  try {
    inNetworkNamespace(fd, () => restoreHostStack(changed));
  } catch {
    // What was its path is none any more.
  } finally {
    host.close(fd);
  }
}

function withSocket(work: (socket: RouteSocket) => void): void {
  const fd = RouteSocket.open(host, 0);
  if (fd < 0) throw new RuntimeError('Internal', `cannot open a routing socket: ${errnoName(fd)}`);
  try {
    work(new RouteSocket(host, fd));
  } finally {
    host.close(fd);
  }
}

/** Of the namespace that the calling thread is in. Null: there is no such knob. */
export function readSysctl(path: string): string | null {
  try {
    return readFileSync(path, 'latin1').trim();
  } catch {
    return null;
  }
}
export function writeSysctl(path: string, value: string): boolean {
  try {
    writeFileSync(path, value);
    return true;
  } catch {
    return false; // a read-only /proc/sys: the host's sockets may then meet ports of the sandbox
  }
}
