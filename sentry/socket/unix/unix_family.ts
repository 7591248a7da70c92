/** AF_UNIX as socket(2) and socketpair(2) see it. */
import { EPROTONOSUPPORT, type Errno, ESOCKTNOSUPPORT } from '../../../abi/errno.ts';
import { AF_UNIX, SOCK_DGRAM, SOCK_RAW, SOCK_SEQPACKET, SOCK_STREAM } from '../../../abi/socket.ts';
import type { Task } from '../../kernel/task.ts';
import { UnixDatagram } from './unix_datagram.ts';
import type { UnixSocket } from './unix_socket.ts';
import { connectPair, UnixStream } from './unix_stream.ts';

/** SOCK_RAW means SOCK_DGRAM here, as on Linux. */
function check(type: number, protocol: number): 0 | Errno {
  if (protocol !== 0 && protocol !== AF_UNIX) return EPROTONOSUPPORT;
  return type === SOCK_STREAM || type === SOCK_DGRAM || type === SOCK_RAW || type === SOCK_SEQPACKET ? 0 : ESOCKTNOSUPPORT;
}

export function makeUnixSocket(task: Task, type: number, protocol: number): UnixSocket | Errno {
  const r = check(type, protocol);
  if (r !== 0) return r;
  const { net } = task.namespaces;
  return type === SOCK_STREAM || type === SOCK_SEQPACKET ? new UnixStream(task.kernel, net, type) : new UnixDatagram(task.kernel, net);
}

export function makeUnixPair(task: Task, type: number, protocol: number): [UnixSocket, UnixSocket] | Errno {
  const r = check(type, protocol);
  if (r !== 0) return r;
  if (type === SOCK_STREAM || type === SOCK_SEQPACKET) return connectPair(task, type);
  const { net } = task.namespaces;
  const a = new UnixDatagram(task.kernel, net);
  const b = new UnixDatagram(task.kernel, net);
  a.join(task, b);
  b.join(task, a);
  return [a, b];
}
