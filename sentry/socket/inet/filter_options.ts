/** Options of IPPROTO_IP and IPPROTO_IPV6 that concern the packet filter (iptables' legacy interface). */
import type { Errno } from '../../../abi/errno.ts';
import type { Task } from '../../kernel/task.ts';
import type { AskedOption } from '../socket.ts';
import type { InetSocket } from './inet_socket.ts';

export interface FilterOptions {
  /** null: not one of its options. */
  get(task: Task, socket: InetSocket, level: number, option: number, asked: AskedOption | undefined): Uint8Array | Errno | null;
  set(task: Task, socket: InetSocket, level: number, option: number, value: Uint8Array): number | null;
}
