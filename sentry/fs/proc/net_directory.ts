/**
 * /proc/PID/net: the network as the task's namespace has it. Who owns the data registers a text by name in `kernel.procNet`; names
 * that nobody has registered show an empty table with its heading.
 */
import { ENOENT, type Errno } from '../../../abi/errno.ts';
import { direntType, S_IFREG } from '../../../abi/stat.ts';
import type { ByteString } from '../../../lib/byte_string.ts';
import type { Task } from '../../kernel/task.ts';
import type { Inode } from '../../vfs/inode.ts';
import type { Entry } from '../synthetic/directory.ts';
import type { ProcFilesystem } from './proc_filesystem.ts';
import { TaskDirectoryInode, TaskFileInode, taskIno } from './task_inode.ts';

const SOCKET_COLUMNS = 'local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode';
const SOCKET6_COLUMNS = `local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode`;

/** proc_pid_net(5): headings of tables without rows. */
const EMPTY: Readonly<Record<string, string>> = {
  arp: 'IP address       HW type     Flags       HW address            Mask     Device\n',
  if_inet6: '',
  igmp: 'Idx\tDevice    : Count Querier\tGroup    Users Timer\tReporter\n',
  ipv6_route: '',
  netlink: 'sk               Eth Pid        Groups   Rmem     Wmem     Dump  Locks    Drops    Inode\n',
  netstat: '',
  packet: 'sk               RefCnt Type Proto  Iface R Rmem   User   Inode\n',
  protocols: 'protocol  size sockets  memory press maxhdr  slab module     cl co di ac io in de sh ss gs se re sp bi br ha uh gp em\n',
  psched: '000003e8 00000040 000f4240 3b9aca00\n',
  ptype: 'Type Device      Function\n',
  raw: `  sl  ${SOCKET_COLUMNS} ref pointer drops\n`,
  raw6: `  sl  ${SOCKET6_COLUMNS} ref pointer drops\n`,
  route: `${'Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT'.padEnd(127)}\n`,
  snmp: '',
  snmp6: '',
  sockstat:
    'sockets: used 0\nTCP: inuse 0 orphan 0 tw 0 alloc 0 mem 0\nUDP: inuse 0 mem 0\nUDPLITE: inuse 0\nRAW: inuse 0\nFRAG: inuse 0 memory 0\n',
  sockstat6: 'TCP6: inuse 0\nUDP6: inuse 0\nUDPLITE6: inuse 0\nRAW6: inuse 0\nFRAG6: inuse 0 memory 0\n',
  tcp: `  sl  ${SOCKET_COLUMNS.padEnd(143)}\n`,
  tcp6: `  sl  ${SOCKET6_COLUMNS}\n`,
  udp: `  sl  ${SOCKET_COLUMNS} ref pointer drops             \n`,
  udp6: `  sl  ${SOCKET6_COLUMNS} ref pointer drops\n`,
  unix: 'Num       RefCount Protocol Flags    Type St Inode Path\n',
};

const DEV_HEADING =
  'Inter-|   Receive                                                |  Transmit\n' +
  ' face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n';
/** Counters of a row, by their names in /sys/class/net/X/statistics, and the columns' widths. */
const DEV_COLUMNS: readonly (readonly [string, number])[] = [
  ['rx_bytes', 7],
  ['rx_packets', 7],
  ['rx_errors', 4],
  ['rx_dropped', 4],
  ['rx_fifo_errors', 4],
  ['rx_frame_errors', 5],
  ['rx_compressed', 10],
  ['multicast', 9],
  ['tx_bytes', 8],
  ['tx_packets', 7],
  ['tx_errors', 4],
  ['tx_dropped', 4],
  ['tx_fifo_errors', 4],
  ['collisions', 5],
  ['tx_carrier_errors', 7],
  ['tx_compressed', 10],
];

/** /proc/net/dev: a row an interface. */
function devText(target: Task): string {
  let text = DEV_HEADING;
  for (const { name, statistics } of target.kernel.netDevices(target.namespaces.net)) {
    const cells = DEV_COLUMNS.map(([counter, width]) => String(statistics[counter] ?? 0).padStart(width));
    text += `${name.padStart(6)}: ${cells.join(' ')}\n`;
  }
  return text;
}

/** Entries behind those of the task directory itself. */
const FIRST_ENTRY = 80;

export class NetDirectory extends TaskDirectoryInode {
  constructor(fs: ProcFilesystem, ino: number, target: Task) {
    super(fs, ino, target, 0o555);
  }
  private names(): string[] {
    return [...new Set(['dev', ...Object.keys(EMPTY), ...this.target.kernel.procNet.keys()])].sort();
  }
  *entries(): Iterable<Entry> {
    for (const [i, name] of this.names().entries()) {
      yield { name, ino: taskIno(this.target.tid, FIRST_ENTRY + i, false), type: direntType(S_IFREG) };
    }
  }
  lookup(name: ByteString): Inode | Errno {
    const index = this.names().indexOf(name);
    if (index < 0) return ENOENT;
    return new TaskFileInode(this.fs, taskIno(this.target.tid, FIRST_ENTRY + index, false), this.target, {
      mode: 0o444,
      read: (target, reader) => {
        const registered = target.kernel.procNet.get(name);
        if (registered !== undefined) return registered(target.namespaces.net, reader);
        return name === 'dev' ? devText(target) : (EMPTY[name] as string);
      },
    });
  }
}
