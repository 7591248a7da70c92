/** The text of /proc/net/unix (proc(5)) for one network namespace. */
import type { ByteString } from '../../../lib/byte_string.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import type { NetNamespace } from '../../kernel/namespaces.ts';
import { isAbstract } from './address.ts';

const SO_ACCEPTCON = 0x10000;

export function unixSocketTable(kernel: Kernel, net: NetNamespace): ByteString {
  let text = 'Num       RefCount Protocol Flags    Type St Inode Path\n';
  for (const socket of kernel.unix.sockets) {
    if (socket.net !== net) continue;
    const hex = (n: number, width: number): string => n.toString(16).toUpperCase().padStart(width, '0');
    const flags = socket.listening ? SO_ACCEPTCON : 0;
    text += `0000000000000000: 00000002 00000000 ${hex(flags, 8)} ${hex(socket.type, 4)} ${hex(socket.stateCode, 2)} ${String(socket.ino).padStart(5)}`;
    const { address } = socket;
    if (address !== '') text += ` ${isAbstract(address) ? address.replaceAll('\0', '@') : address.slice(0, -1)}`;
    text += '\n';
  }
  return text;
}
