/** iptables' legacy interface: options of raw sockets that read and replace the tables (linux/netfilter_ipv4/ip_tables.h). */
import { EAGAIN, EFAULT, EINVAL, ENOENT, ENOMEM, ENOPROTOOPT, EPERM, EPROTONOSUPPORT, type Errno, isErrno } from '../../../../abi/errno.ts';
import { IPPROTO_IP } from '../../../../abi/in.ts';
import { getLen64 } from '../../../../abi/struct.ts';
import { PacketFilter } from '../../../../netstack/filter/packet_filter.ts';
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
import { MATCH_REVISIONS, TARGET_REVISIONS } from './ipt_extensions.ts';
import { COUNTERS_OFFSET, decodeTable, ENTRY_SIZE } from './ipt_table.ts';

// IPT_SO_GET_*, IPT_SO_SET_*; SO_ORIGINAL_DST
const GET_INFO = 64;
const GET_ENTRIES = 65;
const GET_REVISION_MATCH = 66;
const GET_REVISION_TARGET = 67;
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
  private readonly held = new WeakMap<Stack, Map<string, Held>>();

  get(task: Task, socket: InetSocket, level: number, option: number, asked: AskedOption | undefined): Uint8Array | Errno | null {
    if (option === SO_ORIGINAL_DST) return originalDestination(socket);
    if (level !== IPPROTO_IP || option < GET_INFO || option > GET_REVISION_TARGET) return null;
    if (!hasNetCap(task, CAP_NET_ADMIN)) return EPERM;
    if (asked === undefined) return EINVAL;
    if (option >= GET_REVISION_MATCH) return revision(task, option, asked);
    const request = task.readBytes(asked.address, Math.min(asked.room, option === GET_INFO ? INFO_SIZE : 40));
    if (isErrno(request)) return request;
    if (request.length < (option === GET_INFO ? INFO_SIZE : 40)) return EINVAL;
    const name = nameOf(request);
    const held = this.of(socket.stack, name);
    if (held === null) return ENOENT;
    return option === GET_ENTRIES ? entries(name, held, request, asked.room) : info(name, held);
  }
  set(task: Task, socket: InetSocket, level: number, option: number, value: Uint8Array): number | null {
    if (level !== IPPROTO_IP || (option !== SET_REPLACE && option !== SET_ADD_COUNTERS)) return null;
    if (!hasNetCap(task, CAP_NET_ADMIN)) return EPERM;
    return option === SET_REPLACE ? this.replace(task, socket.stack, value) : this.addCounters(socket.stack, value);
  }

  /** A table that nobody has written accepts everything. */
  private of(stack: Stack, name: string): Held | null {
    const hooks = TABLES[name];
    if (hooks === undefined) return null;
    const tables = this.held.get(stack) ?? new Map<string, Held>();
    this.held.set(stack, tables);
    let held = tables.get(name);
    if (held === undefined) {
      held = initial(name, hooks);
      tables.set(name, held);
    }
    return held;
  }
  private replace(task: Task, stack: Stack, value: Uint8Array): number {
    if (value.length < REPLACE_SIZE) return EINVAL;
    const view = new DataView(value.buffer, value.byteOffset, value.length);
    const name = nameOf(value);
    const before = this.of(stack, name);
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
    const table = decodeTable(name, blob, hooks);
    if (typeof table === 'number') return table;
    const count = view.getUint32(36, true);
    if (count !== table.rules.length) return EINVAL;
    // The counters of the rules that go are given back.
    const given = countersOf(before.table);
    const room = view.getUint32(84, true);
    if (room !== before.table.rules.length) return EAGAIN;
    if (task.copyOut(getLen64(view, 88), given) !== 0) return EFAULT;
    (this.held.get(stack) as Map<string, Held>).set(name, { blob, hooks, underflows, count, table });
    apply(stack, name, table);
    return 0;
  }
  /** struct xt_counters_info: name, number, 16 bytes each. */
  private addCounters(stack: Stack, value: Uint8Array): number {
    if (value.length < 40) return EINVAL;
    const view = new DataView(value.buffer, value.byteOffset, value.length);
    const held = this.of(stack, nameOf(value));
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
function apply(stack: Stack, name: string, table: Table): void {
  if (!(stack.hooks instanceof PacketFilter)) stack.hooks = new PacketFilter(stack);
  (stack.hooks as PacketFilter).tables.set(name, table);
}
function nameOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.subarray(0, NAME_SIZE)).toString('latin1').replace(/\0.*$/s, '');
}
function putName(into: Uint8Array, name: string): void {
  into.set(Buffer.from(name, 'latin1'), 0);
}

/** Chains that are empty: a rule for each policy, and the entry that ends every table. */
function initial(name: string, hooks: readonly number[]): Held {
  const rule = ENTRY_SIZE + 40;
  const last = ENTRY_SIZE + 64;
  const blob = new Uint8Array(hooks.length * rule + last);
  const view = new DataView(blob.buffer);
  const offsets = new Map<number, number>();
  for (const [i, hook] of hooks.entries()) {
    const at = i * rule;
    offsets.set(hook, at);
    view.setUint16(at + 88, ENTRY_SIZE, true);
    view.setUint16(at + 90, rule, true);
    view.setUint16(at + ENTRY_SIZE, 40, true);
    view.setInt32(at + ENTRY_SIZE + 32, -2, true);
  }
  const at = hooks.length * rule;
  view.setUint16(at + 88, ENTRY_SIZE, true);
  view.setUint16(at + 90, last, true);
  view.setUint16(at + ENTRY_SIZE, 64, true);
  blob.set(Buffer.from('ERROR'), at + ENTRY_SIZE + 2);
  blob.set(Buffer.from('ERROR'), at + ENTRY_SIZE + 32);
  const table = decodeTable(name, blob, offsets) as Table;
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
function entries(name: string, held: Held, request: Uint8Array, room: number): Uint8Array | Errno {
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
    view.setBigUint64(at + COUNTERS_OFFSET, BigInt(rule.packets), true);
    view.setBigUint64(at + COUNTERS_OFFSET + 8, BigInt(rule.bytes), true);
    at += view.getUint16(at + 90, true);
  }
  return out;
}
function countersOf(table: Table): Uint8Array {
  return new Uint8Array(BigUint64Array.from(table.rules.flatMap(({ packets, bytes }) => [BigInt(packets), BigInt(bytes)])).buffer);
}
/** struct xt_get_revision: name of 29 bytes, revision. ENOENT: no such extension; EPROTONOSUPPORT: not that one of it. */
function revision(task: Task, option: number, asked: AskedOption): Uint8Array | Errno {
  if (asked.room < REVISION_SIZE) return EINVAL;
  const bytes = task.readBytes(asked.address, REVISION_SIZE);
  if (isErrno(bytes)) return bytes;
  const name = Buffer.from(bytes.subarray(0, 29)).toString('latin1').replace(/\0.*$/s, '');
  const known = option === GET_REVISION_MATCH ? MATCH_REVISIONS : TARGET_REVISIONS;
  const revisions = Object.hasOwn(known, name) ? known[name] : undefined;
  if (revisions === undefined) return ENOENT;
  return revisions.includes(bytes[29] as number) ? bytes : EPROTONOSUPPORT;
}

/** Of an accepted connection that REDIRECT or DNAT has brought here: where it wanted to go. */
function originalDestination(socket: InetSocket): Uint8Array | Errno {
  const filter = socket.stack.hooks;
  if (!(socket instanceof InetStream) || socket.connection === null) return ENOPROTOOPT;
  const { local, localPort, remote, remotePort } = socket.connection;
  if (!(filter instanceof PacketFilter)) return ENOENT;
  const tuple = filter.originalDestination(socket.protocol, local, localPort, remote, remotePort);
  return tuple === null ? ENOENT : encodeInetAddress(socket.family, tuple.destination, tuple.destinationPort);
}
