/** iptables' and ip6tables' legacy interface: options of raw sockets that read and replace the tables (linux/netfilter_ipv{4,6}/ip*_tables.h). */
import { EAGAIN, EFAULT, EINVAL, ENOENT, ENOMEM, ENOPROTOOPT, EPERM, EPROTONOSUPPORT, type Errno, isErrno } from '../../../../abi/errno.ts';
import { IPPROTO_IP } from '../../../../abi/in.ts';
import { AF_INET, AF_INET6 } from '../../../../abi/socket.ts';
import { getLen64 } from '../../../../abi/struct.ts';
import { PacketFilters } from '../../../../netstack/filter/filters.ts';
import { FORWARD, LOCAL_IN, LOCAL_OUT, POST_ROUTING, PRE_ROUTING, type Table } from '../../../../netstack/filter/rules.ts';
import type { Stack } from '../../../../netstack/stack.ts';
import { CAP_NET_ADMIN } from '../../../kernel/credentials.ts';
import type { Task } from '../../../kernel/task.ts';
import { hasNetCap } from '../../net_capability.ts';
import type { AskedOption } from '../../socket.ts';
import type { FilterOptions } from '../filter_options.ts';
import { encodeInetAddress } from '../inet_address.ts';
import type { InetSocket } from '../inet_socket.ts';
import { InetStream } from '../inet_stream.ts';
import { ENTRY4, ENTRY6, type EntryLayout } from './ipt_entry.ts';
import { MATCH_REVISIONS, TARGET_REVISIONS } from './ipt_extensions.ts';
import { decodeTable } from './ipt_table.ts';

// IPT_SO_GET_*, IPT_SO_SET_*; SO_ORIGINAL_DST
const GET_INFO = 64;
const GET_ENTRIES = 65;
/** IPT_SO_GET_REVISION_MATCH and _TARGET, IP6T_SO_… */
const GET_REVISIONS: Readonly<Record<4 | 6, readonly [match: number, target: number]>> = { 4: [66, 67], 6: [68, 69] };
const SET_REPLACE = 64;
const SET_ADD_COUNTERS = 65;
const SO_ORIGINAL_DST = 80;
const NAME_SIZE = 32;
const HOOKS = 5;
/** struct ipt_getinfo, ipt_replace without entries, xt_get_revision. */
const INFO_SIZE = 84;
const REPLACE_SIZE = 96;
const REVISION_SIZE = 30;
/** Entries of one table, bytes. */
const MAX_BLOB = 1 << 20;

/** Which hooks each table has. */
const TABLES: Readonly<Record<string, readonly number[]>> = {
  filter: [LOCAL_IN, FORWARD, LOCAL_OUT],
  nat: [PRE_ROUTING, LOCAL_IN, LOCAL_OUT, POST_ROUTING],
  mangle: [PRE_ROUTING, LOCAL_IN, FORWARD, LOCAL_OUT, POST_ROUTING],
  raw: [PRE_ROUTING, LOCAL_OUT],
};

/** A table as the tool wrote it: what it reads back, with counters. */
interface Held {
  readonly blob: Uint8Array;
  readonly hooks: ReadonlyMap<number, number>;
  readonly underflows: ReadonlyMap<number, number>;
  readonly count: number;
  readonly table: Table;
}

export class IptOptions implements FilterOptions {
  /** By version and name. */
  private readonly held = new WeakMap<Stack, Map<string, Held>>();

  get(task: Task, socket: InetSocket, level: number, option: number, asked: AskedOption | undefined): Uint8Array | Errno | null {
    if (option === SO_ORIGINAL_DST) return originalDestination(socket, level);
    const layout = layoutOf(level);
    const [matches, targets] = GET_REVISIONS[layout.version];
    if (![GET_INFO, GET_ENTRIES, matches, targets].includes(option)) return null;
    if (!hasNetCap(task, CAP_NET_ADMIN)) return EPERM;
    if (asked === undefined) return EINVAL;
    if (option === matches) return revision(task, MATCH_REVISIONS[layout.version], asked);
    if (option === targets) return revision(task, TARGET_REVISIONS[layout.version], asked);
    const request = task.readBytes(asked.address, Math.min(asked.room, option === GET_INFO ? INFO_SIZE : 40));
    if (isErrno(request)) return request;
    if (request.length < (option === GET_INFO ? INFO_SIZE : 40)) return EINVAL;
    const name = nameOf(request);
    const held = this.of(socket.stack, layout, name);
    if (held === null) return ENOENT;
    return option === GET_ENTRIES ? entries(layout, name, held, request, asked.room) : info(name, held);
  }
  set(task: Task, socket: InetSocket, level: number, option: number, value: Uint8Array): number | null {
    if (option !== SET_REPLACE && option !== SET_ADD_COUNTERS) return null;
    if (!hasNetCap(task, CAP_NET_ADMIN)) return EPERM;
    const layout = layoutOf(level);
    return option === SET_REPLACE ? this.replace(task, socket.stack, layout, value) : this.addCounters(socket.stack, layout, value);
  }

  /** A table that nobody has written accepts everything. */
  private of(stack: Stack, layout: EntryLayout, name: string): Held | null {
    const hooks = Object.hasOwn(TABLES, name) ? TABLES[name] : undefined;
    if (hooks === undefined) return null;
    const tables = this.held.get(stack) ?? new Map<string, Held>();
    this.held.set(stack, tables);
    const key = `${layout.version} ${name}`;
    let held = tables.get(key);
    if (held === undefined) {
      held = initial(layout, name, hooks);
      tables.set(key, held);
    }
    return held;
  }
  private replace(task: Task, stack: Stack, layout: EntryLayout, value: Uint8Array): number {
    if (value.length < REPLACE_SIZE) return EINVAL;
    const view = new DataView(value.buffer, value.byteOffset, value.length);
    const name = nameOf(value);
    const before = this.of(stack, layout, name);
    if (before === null) return ENOENT;
    const size = view.getUint32(40, true);
    if (size > MAX_BLOB) return ENOMEM;
    if (size !== value.length - REPLACE_SIZE) return EINVAL;
    const blob = value.slice(REPLACE_SIZE);
    const hooks = new Map<number, number>();
    const underflows = new Map<number, number>();
    for (const hook of TABLES[name] as readonly number[]) {
      hooks.set(hook, view.getUint32(44 + hook * 4, true));
      underflows.set(hook, view.getUint32(64 + hook * 4, true));
    }
    const table = decodeTable(layout, name, blob, hooks);
    if (typeof table === 'number') return table;
    const count = view.getUint32(36, true);
    if (count !== table.rules.length) return EINVAL;
    // The counters of the rules that go are given back.
    const given = countersOf(before.table);
    const room = view.getUint32(84, true);
    if (room !== before.table.rules.length) return EAGAIN;
    if (task.copyOut(getLen64(view, 88), given) !== 0) return EFAULT;
    (this.held.get(stack) as Map<string, Held>).set(`${layout.version} ${name}`, { blob, hooks, underflows, count, table });
    apply(stack, layout, name, table);
    return 0;
  }
  /** struct xt_counters_info: name, number, 16 bytes each. */
  private addCounters(stack: Stack, layout: EntryLayout, value: Uint8Array): number {
    if (value.length < 40) return EINVAL;
    const view = new DataView(value.buffer, value.byteOffset, value.length);
    const held = this.of(stack, layout, nameOf(value));
    if (held === null) return ENOENT;
    const count = view.getUint32(32, true);
    if (count !== held.table.rules.length || value.length !== 40 + count * 16) return EINVAL;
    for (const [i, rule] of held.table.rules.entries()) {
      rule.packets += Number(view.getBigUint64(40 + i * 16, true) & 0x1f_ffff_ffff_ffffn);
      rule.bytes += Number(view.getBigUint64(48 + i * 16, true) & 0x1f_ffff_ffff_ffffn);
    }
    return 0;
  }
}

/** The filter comes into being with the first table that says anything. */
function apply(stack: Stack, { version }: EntryLayout, name: string, table: Table): void {
  if (!(stack.hooks instanceof PacketFilters)) stack.hooks = new PacketFilters(stack);
  (stack.hooks as PacketFilters).make(version).tables.set(name, table);
}
function layoutOf(level: number): EntryLayout {
  return level === IPPROTO_IP ? ENTRY4 : ENTRY6;
}
function nameOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.subarray(0, NAME_SIZE)).toString('latin1').replace(/\0.*$/s, '');
}
function putName(into: Uint8Array, name: string): void {
  into.set(Buffer.from(name, 'latin1'), 0);
}

/** Chains that are empty: a rule for each policy, and the entry that ends every table. */
function initial(layout: EntryLayout, name: string, hooks: readonly number[]): Held {
  const rule = layout.size + 40;
  const last = layout.size + 64;
  const blob = new Uint8Array(hooks.length * rule + last);
  const view = new DataView(blob.buffer);
  const offsets = new Map<number, number>();
  const put = (at: number, length: number): void => {
    view.setUint16(at + layout.target, layout.size, true);
    view.setUint16(at + layout.next, length, true);
    view.setUint16(at + layout.size, length - layout.size, true);
  };
  for (const [i, hook] of hooks.entries()) {
    offsets.set(hook, i * rule);
    put(i * rule, rule);
    view.setInt32(i * rule + layout.size + 32, -2, true);
  }
  const at = hooks.length * rule;
  put(at, last);
  blob.set(Buffer.from('ERROR'), at + layout.size + 2);
  blob.set(Buffer.from('ERROR'), at + layout.size + 32);
  const table = decodeTable(layout, name, blob, offsets) as Table;
  return { blob, hooks: offsets, underflows: offsets, count: hooks.length + 1, table };
}

function info(name: string, held: Held): Uint8Array {
  const out = new Uint8Array(INFO_SIZE);
  const view = new DataView(out.buffer);
  putName(out, name);
  let mask = 0;
  for (let hook = 0; hook < HOOKS; hook++) {
    if (!held.hooks.has(hook)) continue;
    mask |= 1 << hook;
    view.setUint32(36 + hook * 4, held.hooks.get(hook) as number, true);
    view.setUint32(56 + hook * 4, held.underflows.get(hook) as number, true);
  }
  view.setUint32(32, mask, true);
  view.setUint32(76, held.count, true);
  view.setUint32(80, held.blob.length, true);
  return out;
}
/** struct ipt_get_entries: name, size, entries at 40. */
function entries(layout: EntryLayout, name: string, held: Held, request: Uint8Array, room: number): Uint8Array | Errno {
  const size = new DataView(request.buffer, request.byteOffset).getUint32(32, true);
  if (room !== size + 40) return EINVAL;
  if (size !== held.blob.length) return EAGAIN;
  const out = new Uint8Array(40 + size);
  putName(out, name);
  const view = new DataView(out.buffer);
  view.setUint32(32, size, true);
  out.set(held.blob, 40);
  let at = 40;
  for (const rule of held.table.rules) {
    view.setBigUint64(at + layout.counters, BigInt(rule.packets), true);
    view.setBigUint64(at + layout.counters + 8, BigInt(rule.bytes), true);
    at += view.getUint16(at + layout.next, true);
  }
  return out;
}
function countersOf(table: Table): Uint8Array {
  return new Uint8Array(BigUint64Array.from(table.rules.flatMap(({ packets, bytes }) => [BigInt(packets), BigInt(bytes)])).buffer);
}
/** struct xt_get_revision: name of 29 bytes, revision. ENOENT: no such extension; EPROTONOSUPPORT: not that one of it. */
function revision(task: Task, known: Readonly<Record<string, readonly number[]>>, asked: AskedOption): Uint8Array | Errno {
  if (asked.room < REVISION_SIZE) return EINVAL;
  const bytes = task.readBytes(asked.address, REVISION_SIZE);
  if (isErrno(bytes)) return bytes;
  const name = Buffer.from(bytes.subarray(0, 29)).toString('latin1').replace(/\0.*$/s, '');
  const revisions = Object.hasOwn(known, name) ? known[name] : undefined;
  if (revisions === undefined) return ENOENT;
  return revisions.includes(bytes[29] as number) ? bytes : EPROTONOSUPPORT;
}

/** Of an accepted connection that REDIRECT or DNAT has brought here: where it wanted to go. */
function originalDestination(socket: InetSocket, level: number): Uint8Array | Errno {
  const filters = socket.stack.hooks;
  if (!(socket instanceof InetStream) || socket.connection === null) return ENOPROTOOPT;
  const { local, localPort, remote, remotePort } = socket.connection;
  const version = local.length === 4 ? 4 : 6;
  const filter = filters instanceof PacketFilters ? filters.of(version) : null;
  if (filter === null || layoutOf(level).version !== version) return ENOENT;
  const tuple = filter.originalDestination(socket.protocol, local, localPort, remote, remotePort);
  const family = version === 4 ? AF_INET : AF_INET6;
  return tuple === null ? ENOENT : encodeInetAddress(family, tuple.destination, tuple.destinationPort);
}
