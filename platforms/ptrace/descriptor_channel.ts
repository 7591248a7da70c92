/**
 * Hands a host descriptor to a traced process: a socket pair, whose far end every stub holds as descriptor 0. Sending and the
 * injected receive follow each other at once, so one pair serves all processes. The application can make no host call, so it
 * cannot use the socket.
 */
import type { Errno } from '../../abi/errno.ts';
import { setLen64 } from '../../abi/struct.ts';
import type { Host } from '../../lib/host.ts';
import { native } from '../../native-addon/native.ts';
import { STUB_SCRATCH } from '../stub_layout.ts';
import { inject } from './injection.ts';
import { HOST_CALL } from './requests.ts';

const SOCK_SEQPACKET = 5;
const MSG_DONTWAIT = 0x40;
/** The stub has no descriptor but its socket, so what it receives gets the next number. */
export const STUB_SOCKET = 0;
export const STUB_RECEIVED = 1;

// Offsets inside the scratch page.
const MSGHDR = 0;
const IOVEC = 56;
const CONTROL = 72;
const PAYLOAD = 104;
const SIZE = 112;

export class DescriptorChannel {
  private readonly host: Host;
  private readonly ours: number;
  /** For the seed; and for us, to take back what was sent to a process that died. */
  readonly theirs: number;
  private readonly message: Uint8Array;
  private readonly payload = new Uint8Array(1);

  constructor(host: Host) {
    const pair = host.socketpair(SOCK_SEQPACKET);
    if (typeof pair === 'number') throw new Error(`socketpair: errno ${-pair}`);
    this.host = host;
    [this.ours, this.theirs] = pair;
    this.message = receiveMessage();
  }

  /** The stopped thread `pid` gets a copy of hostFd as STUB_RECEIVED. 0, an errno or THREAD_LOST. */
  send(pid: number, hostFd: number): number {
    const sent = this.host.sendWithFds(this.ours, this.payload, [hostFd], MSG_DONTWAIT);
    if (sent < 0) return sent as Errno;
    const wrote = native.writeProcess(pid, STUB_SCRATCH, this.message, 0, SIZE);
    const r = wrote < 0 ? wrote : inject(pid, HOST_CALL.recvmsg, STUB_SOCKET, STUB_SCRATCH + MSGHDR, MSG_DONTWAIT);
    if (r < 0) this.takeBack();
    return Math.min(r, 0);
  }
  private takeBack(): void {
    for (const fd of this.host.receiveWithFds(this.theirs, new Uint8Array(1), MSG_DONTWAIT).fds) this.host.close(fd);
  }
  close(): void {
    this.host.close(this.ours);
    this.host.close(this.theirs);
  }
}

/** struct msghdr with one iovec and room for one descriptor, as it lies in the scratch page. */
function receiveMessage(): Uint8Array {
  const bytes = new Uint8Array(SIZE);
  const view = new DataView(bytes.buffer);
  setLen64(view, MSGHDR + 16, STUB_SCRATCH + IOVEC);
  setLen64(view, MSGHDR + 24, 1);
  setLen64(view, MSGHDR + 32, STUB_SCRATCH + CONTROL);
  setLen64(view, MSGHDR + 40, 24);
  setLen64(view, IOVEC, STUB_SCRATCH + PAYLOAD);
  setLen64(view, IOVEC + 8, 1);
  return bytes;
}
