/** /sys/class/net: the interfaces of the reader's network namespace, from whoever owns them (`kernel.netDevices`). */
import { EINVAL, ENOENT, type Errno } from '../../../abi/errno.ts';
import { ARPHRD_LOOPBACK, IFF_BROADCAST, IFF_LOOPBACK, IFF_LOWER_UP, IFF_RUNNING, IFF_UP } from '../../../abi/if.ts';
import { direntType, S_IFDIR } from '../../../abi/stat.ts';
import type { ByteString } from '../../../lib/byte_string.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import type { Task } from '../../kernel/task.ts';
import type { Inode } from '../../vfs/inode.ts';
import { type Entry, StaticDirectory, SyntheticDirectory } from '../synthetic/directory.ts';
import { SyntheticFile } from '../synthetic/file.ts';
import type { SyntheticFilesystem } from '../synthetic/filesystem.ts';

/** One interface, as /sys/class/net and its like show it. */
export interface NetDevice {
  readonly name: string;
  readonly index: number;
  /** "aa:bb:cc:dd:ee:ff"; empty where links have no addresses. */
  readonly address: string;
  readonly mtu: number;
  /** ARPHRD_*. */
  readonly type: number;
  /** IFF_*. */
  readonly flags: number;
  /** IF_OPER_*. */
  readonly state: number;
  /** IFLA_TXQLEN. */
  readonly queueLength: number;
  /** IFLA_LINKINFO. */
  readonly info?: LinkInfo;
  /** Files that interfaces of its kind have in /sys/class/net/X beside the common ones. */
  readonly files?: Readonly<Record<string, string>>;
  /** By the names of /sys/class/net/X/statistics; what is missing is 0. */
  readonly statistics: Readonly<Record<string, number>>;
}

export interface LinkInfo {
  readonly kind: string;
  readonly data: Uint8Array;
}

// IFLA_OPERSTATE (RFC 2863)
export const IF_OPER_UNKNOWN = 0;
export const IF_OPER_DOWN = 2;
export const IF_OPER_UP = 6;
const STATES: Readonly<Record<number, string>> = { [IF_OPER_UNKNOWN]: 'unknown', [IF_OPER_DOWN]: 'down', [IF_OPER_UP]: 'up' };
const TX_QUEUE_LENGTH = 1000;

/** What there is without a network. */
export const LOOPBACK: NetDevice = {
  name: 'lo',
  index: 1,
  address: '00:00:00:00:00:00',
  mtu: 65536,
  type: ARPHRD_LOOPBACK,
  flags: IFF_UP | IFF_LOOPBACK | IFF_RUNNING | IFF_LOWER_UP,
  state: IF_OPER_UNKNOWN,
  queueLength: TX_QUEUE_LENGTH,
  statistics: {},
};

const COUNTERS = ['bytes', 'packets', 'errors', 'dropped', 'fifo_errors', 'compressed'].flatMap((name) => [`rx_${name}`, `tx_${name}`]);
const OTHER_COUNTERS = ['collisions', 'multicast', 'rx_crc_errors', 'rx_frame_errors', 'rx_length_errors', 'tx_carrier_errors'];

/** Linux has no answer: reading fails. */
const UNKNOWN = null;

/** Inode numbers: dynamic, by interface and entry. */
const BASE = 2 ** 32;
const ENTRIES = 64;
const STATISTICS = ENTRIES / 2;

export class NetClassDirectory extends SyntheticDirectory {
  private readonly kernel: Kernel;

  constructor(fs: SyntheticFilesystem, kernel: Kernel) {
    super(fs, fs.nextIno());
    this.kernel = kernel;
  }
  private devices(reader: Task | null): readonly NetDevice[] {
    return reader === null ? [LOOPBACK] : this.kernel.netDevices(reader.namespaces.net);
  }
  *entries(reader: Task | null): Iterable<Entry> {
    for (const { name, index } of this.devices(reader)) yield { name, ino: BASE + index * ENTRIES, type: direntType(S_IFDIR) };
  }
  lookup(name: ByteString, reader: Task | null): Inode | Errno {
    const device = this.devices(reader).find((d) => d.name === name);
    return device === undefined ? ENOENT : deviceDirectory(this.fs, device);
  }
}

/** Made at each look-up: an interface may have changed or gone. */
function deviceDirectory(fs: SyntheticFilesystem, device: NetDevice): StaticDirectory {
  const directory = new StaticDirectory(fs, 0o755, BASE + device.index * ENTRIES);
  const files: Readonly<Record<string, string | number | typeof UNKNOWN>> = {
    addr_assign_type: 0,
    addr_len: device.address === '' ? 0 : 6,
    address: device.address,
    broadcast: device.address === '' ? '' : (device.flags & IFF_BROADCAST) === 0 ? '00:00:00:00:00:00' : 'ff:ff:ff:ff:ff:ff',
    // Of one that is down nothing can be told.
    carrier: (device.flags & IFF_UP) === 0 ? UNKNOWN : (device.flags & IFF_LOWER_UP) !== 0 ? 1 : 0,
    dev_id: '0x0',
    dev_port: 0,
    dormant: 0,
    duplex: device.type === ARPHRD_LOOPBACK ? UNKNOWN : 'full',
    flags: `0x${(device.flags & ~(IFF_RUNNING | IFF_LOWER_UP)).toString(16)}`,
    gro_flush_timeout: 0,
    ifalias: '',
    ifindex: device.index,
    iflink: device.index,
    link_mode: 0,
    mtu: device.mtu,
    netdev_group: 0,
    operstate: STATES[device.state] ?? 'unknown',
    proto_down: 0,
    speed: device.type === ARPHRD_LOOPBACK ? UNKNOWN : 10000,
    tx_queue_len: device.queueLength,
    type: device.type,
    uevent: `INTERFACE=${device.name}\nIFINDEX=${device.index}`,
    ...device.files,
  };
  let entry = 1;
  for (const [name, value] of Object.entries(files)) {
    const make = value === UNKNOWN ? () => EINVAL : () => `${value}\n`;
    directory.add(name, new SyntheticFile(fs, make, null, 0o444, BASE + device.index * ENTRIES + entry++));
  }
  const statistics = directory.add('statistics', new StaticDirectory(fs, 0o755, BASE + device.index * ENTRIES + STATISTICS));
  for (const [i, name] of [...COUNTERS, ...OTHER_COUNTERS].entries()) {
    const ino = BASE + device.index * ENTRIES + STATISTICS + 1 + i;
    statistics.add(name, new SyntheticFile(fs, () => `${device.statistics[name] ?? 0}\n`, null, 0o444, ino));
  }
  return directory;
}
