/** rtnetlink(7) towards the host's kernel: one request or listing at a time on one socket, and notifications in between. */
import { EAGAIN, EINVAL, EIO, type Errno } from '../abi/errno.ts';
import * as L from '../abi/netlink.ts';
import { AF_NETLINK, SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_RAW } from '../abi/socket.ts';
import type { Host } from './host.ts';
import type { NetlinkMessage } from './netlink_message.ts';

// Host system calls, x86-64.
const NR = { socket: 41, sendto: 44, recvfrom: 45, bind: 49, setsockopt: 54 } as const;
const MSG_DONTWAIT = 0x40;
const MSG_TRUNC = 0x20;
/** What one receive may give (the kernel's largest piece of a listing is 32 KiB). */
const BUFFER = 65_536;

/** One message: what follows its header, which lives until the next receive. */
export interface RouteMessage {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  readonly body: Uint8Array;
}

export class RouteSocket {
  readonly fd: number;
  private readonly host: Host;
  private readonly buffer = new Uint8Array(BUFFER);
  private sequence = 1;
  /** Gets notifications that come between the parts of an answer. */
  onNotification: (message: RouteMessage) => void = () => {};

  constructor(host: Host, fd: number) {
    this.host = host;
    this.fd = fd;
  }
  /** groups: RTMGRP_*. Of the caller's network namespace. A descriptor, or an errno. */
  static open(host: Host, groups: number): number {
    const fd = host.syscall(NR.socket, AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, L.NETLINK_ROUTE);
    if (fd < 0) return fd;
    const r = host.syscall(NR.bind, fd, L.SockaddrNl.encode({ nl_family: AF_NETLINK, nl_pid: 0, nl_groups: groups }), L.SockaddrNl.size);
    if (r === 0) return fd;
    host.close(fd);
    return r;
  }

  /** Every object of a kind: RTM_GET*. `body`: the fixed part of the request. 0 or an errno. */
  list(type: number, body: Uint8Array, take: (message: RouteMessage) => void): 0 | Errno {
    const sequence = this.send(type, L.NLM_F_REQUEST | L.NLM_F_DUMP, body);
    return sequence < 0 ? (sequence as Errno) : this.collect(sequence, take);
  }
  /** A request that changes something: 0 or an errno. */
  change(message: NetlinkMessage): 0 | Errno {
    const sequence = this.sequence++;
    const bytes = message.encode(sequence, 0);
    const sent = this.host.syscall(NR.sendto, this.fd, bytes, bytes.length, 0, null, 0);
    return sent < 0 ? (sent as Errno) : this.collect(sequence, () => {});
  }
  private send(type: number, flags: number, body: Uint8Array): number {
    const sequence = this.sequence++;
    const bytes = new Uint8Array(L.Nlmsghdr.size + body.length);
    const header = { nlmsg_len: bytes.length, nlmsg_type: type, nlmsg_flags: flags, nlmsg_seq: sequence, nlmsg_pid: 0 };
    L.Nlmsghdr.write(new DataView(bytes.buffer), 0, header);
    bytes.set(body, L.Nlmsghdr.size);
    const sent = this.host.syscall(NR.sendto, this.fd, bytes, bytes.length, 0, null, 0);
    return sent < 0 ? sent : sequence;
  }
  /** The kernel has answered by the time the request was sent: nothing to wait for. */
  private collect(sequence: number, take: (message: RouteMessage) => void): 0 | Errno {
    for (;;) {
      const n = this.receive();
      if (n < 0) return n === EAGAIN ? EIO : (n as Errno);
      for (const message of messages(this.buffer, n)) {
        if (message.sequence !== sequence) this.onNotification(message);
        else if (message.type === L.NLMSG_DONE) return 0;
        else if (message.type === L.NLMSG_ERROR) return errorOf(message);
        else take(message);
      }
    }
  }
  private receive(): number {
    const n = this.host.syscall(NR.recvfrom, this.fd, this.buffer, BUFFER, MSG_DONTWAIT | MSG_TRUNC, null, 0);
    return n > BUFFER ? EINVAL : n;
  }
  /** Takes the notifications that are there. 0, or an errno: ENOBUFS if some were lost. */
  drain(): 0 | Errno {
    for (;;) {
      const n = this.receive();
      if (n === EAGAIN) return 0;
      if (n < 0) return n as Errno;
      for (const message of messages(this.buffer, n)) this.onNotification(message);
    }
  }
}

function errorOf(message: RouteMessage): 0 | Errno {
  const { body } = message;
  return body.length < 4 ? EINVAL : (new DataView(body.buffer, body.byteOffset).getInt32(0, true) as 0 | Errno);
}

function* messages(bytes: Uint8Array, length: number): Generator<RouteMessage> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, length);
  for (let at = 0; at + L.Nlmsghdr.size <= length; ) {
    const header = L.Nlmsghdr.read(view, at);
    if (header.nlmsg_len < L.Nlmsghdr.size || at + header.nlmsg_len > length) return;
    yield {
      type: header.nlmsg_type,
      flags: header.nlmsg_flags,
      sequence: header.nlmsg_seq,
      body: bytes.subarray(at + L.Nlmsghdr.size, at + header.nlmsg_len),
    };
    at += (header.nlmsg_len + 3) & ~3;
  }
}
