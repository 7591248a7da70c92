/** /sys/class/net: the interfaces of the reader's network namespace, from whoever owns them (`kernel.netDevices`). */
import { EINVAL, ENOENT, type Errno } from '../../../abi/errno.ts';
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
  /** "aa:bb:cc:dd:ee:ff". */
  readonly address: string;
  readonly mtu: number;
  /** ARPHRD_*: 1 Ethernet, 772 loopback. */
  readonly type: number;
  /** IFF_*. */
  readonly flags: number;
  readonly up: boolean;
  /** By the names of /sys/class/net/X/statistics; what is missing is 0. */
  readonly statistics: Readonly<Record<string, number>>;
}

const IFF_UP_LOOPBACK_RUNNING = 0x49;
const ARPHRD_LOOPBACK = 772;

/** What there is without a network. */
export const LOOPBACK: NetDevice = {
  name: 'lo',
  index: 1,
  address: '00:00:00:00:00:00',
  mtu: 65536,
  type: ARPHRD_LOOPBACK,
  flags: IFF_UP_LOOPBACK_RUNNING,
  up: true,
  statistics: {},
};

const COUNTERS = ['bytes', 'packets', 'errors', 'dropped', 'fifo_errors', 'compressed'].flatMap((name) => [`rx_${name}`, `tx_${name}`]);
const OTHER_COUNTERS = ['collisions', 'multicast', 'rx_crc_errors', 'rx_frame_errors', 'rx_length_errors', 'tx_carrier_errors'];

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
  const files: Readonly<Record<string, string | number>> = {
    addr_assign_type: 0,
    addr_len: 6,
    address: device.address,
    broadcast: device.type === ARPHRD_LOOPBACK ? '00:00:00:00:00:00' : 'ff:ff:ff:ff:ff:ff',
    carrier: device.up ? 1 : 0,
    dev_id: '0x0',
    dev_port: 0,
    dormant: 0,
    duplex: device.type === ARPHRD_LOOPBACK ? '' : 'full',
    flags: `0x${device.flags.toString(16)}`,
    gro_flush_timeout: 0,
    ifalias: '',
    ifindex: device.index,
    iflink: device.index,
    link_mode: 0,
    mtu: device.mtu,
    netdev_group: 0,
    operstate: device.type === ARPHRD_LOOPBACK ? 'unknown' : device.up ? 'up' : 'down',
    proto_down: 0,
    speed: device.type === ARPHRD_LOOPBACK ? '' : 10000,
    tx_queue_len: 1000,
    type: device.type,
    uevent: `INTERFACE=${device.name}\nIFINDEX=${device.index}`,
  };
  let entry = 1;
  for (const [name, value] of Object.entries(files)) {
    // Linux has no answer for the speed and duplex of a loopback.
    const make = value === '' && name !== 'ifalias' ? () => EINVAL : () => `${value}\n`;
    directory.add(name, new SyntheticFile(fs, make, null, 0o444, BASE + device.index * ENTRIES + entry++));
  }
  const statistics = directory.add('statistics', new StaticDirectory(fs, 0o755, BASE + device.index * ENTRIES + STATISTICS));
  for (const [i, name] of [...COUNTERS, ...OTHER_COUNTERS].entries()) {
    const ino = BASE + device.index * ENTRIES + STATISTICS + 1 + i;
    statistics.add(name, new SyntheticFile(fs, () => `${device.statistics[name] ?? 0}\n`, null, 0o444, ino));
  }
  return directory;
}
