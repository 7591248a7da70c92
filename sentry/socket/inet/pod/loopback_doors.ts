/**
 * Doors from the host namespace's loopback into the sandbox: where a program of the sandbox listens on its loopback or on every address, a
 * host socket listens at the same port of 127.0.0.1 or ::1, so that port forwarding of a container engine, which dials localhost in the
 * pod's namespace, arrives. And streams that runsc port-forward brings.
 */
import { EAGAIN, EINTR, type Errno, errnoName, isErrno } from '../../../../abi/errno.ts';
import { POLLIN } from '../../../../abi/poll.ts';
import { SOCK_CLOEXEC, SOCK_NONBLOCK } from '../../../../abi/socket.ts';
import { isAny, LOOPBACK4, LOOPBACK6 } from '../../../../netstack/address.ts';
import type { Stack } from '../../../../netstack/stack.ts';
import { TcpOptions } from '../../../../netstack/tcp/connection.ts';
import type { Listener } from '../../../../netstack/tcp/listener.ts';
import type { Kernel } from '../../../kernel/kernel.ts';
import { type HostSockets, LOOPBACK_LISTENER } from './host_sockets.ts';
import { StreamBridge } from './stream_bridge.ts';

const NR_accept4 = 288;
/** Doors at once, and streams through all of them. */
const MAX_DOORS = 256;
const MAX_STREAMS = 1024;
const ACCEPT_BATCH = 32;

interface Door {
  listeners: number;
  /** -1: being opened; an errno: the host has no room for it. */
  fd: number;
}

export class LoopbackDoors {
  private readonly kernel: Kernel;
  private readonly stack: Stack;
  private readonly sockets: HostSockets | null;
  private readonly doors = new Map<string, Door>();
  private streams = 0;

  /** sockets null: no doors, but streams that are handed in. */
  constructor(kernel: Kernel, stack: Stack, sockets: HostSockets | null) {
    this.kernel = kernel;
    this.stack = stack;
    this.sockets = sockets;
    if (sockets !== null) stack.tcp.onListener = (listener, open) => this.follow(listener, open);
  }

  private follow(listener: Listener, open: boolean): void {
    const { address, port, onlyV6 } = listener.binding;
    const any = isAny(address);
    if (address === LOOPBACK4 || (any && (address.length === 4 || !onlyV6))) this.count(4, port, open);
    if (address === LOOPBACK6 || (any && address.length === 16)) this.count(6, port, open);
  }
  private count(family: 4 | 6, port: number, open: boolean): void {
    const key = `${family}:${port}`;
    const door = this.doors.get(key);
    if (!open) {
      if (door !== undefined && --door.listeners === 0) this.shut(key, door);
    } else if (door !== undefined) door.listeners++;
    else if (this.doors.size < MAX_DOORS) this.openDoor(key, family, port);
  }
  private openDoor(key: string, family: 4 | 6, port: number): void {
    const door: Door = { listeners: 1, fd: -1 };
    this.doors.set(key, door);
    this.sockets?.open(LOOPBACK_LISTENER, family, port, (fd) => {
      if (fd < 0) {
        // The port is taken in the namespace, or it has no such family.
        this.kernel.log(`network: localhost of the namespace does not lead to port ${port} (IPv${family}): ${errnoName(fd)}`);
        return;
      }
      if (this.doors.get(key) !== door) {
        this.kernel.host.close(fd);
        return;
      }
      door.fd = fd;
      this.kernel.poll.add(fd, POLLIN, () => this.accept(fd, family, port));
    });
  }
  private shut(key: string, door: Door): void {
    this.doors.delete(key);
    if (door.fd < 0) return;
    this.kernel.poll.remove(door.fd);
    this.kernel.host.close(door.fd);
  }

  private accept(listener: number, family: 4 | 6, port: number): void {
    for (let i = 0; i < ACCEPT_BATCH; i++) {
      const fd = this.kernel.host.syscall(NR_accept4, listener, null, null, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (fd === EAGAIN) return;
      if (fd === EINTR) continue;
      if (fd < 0) return;
      if (isErrno(this.join(fd, family, port))) this.kernel.host.close(fd);
    }
  }

  /** fd: a non-blocking stream of the host, ours if this gives 0. The other end is the port of the sandbox's loopback. */
  private join(fd: number, family: 4 | 6, port: number, made: (error: Errno | 0) => void = () => {}): 0 | Errno {
    if (this.streams >= MAX_STREAMS) return EAGAIN;
    const address = family === 4 ? LOOPBACK4 : LOOPBACK6;
    const c = this.stack.tcp.connect({ address, port }, null, new TcpOptions(), 0, 0);
    if (isErrno(c)) return c;
    this.streams++;
    const bridge = (): void => {
      made(0);
      new StreamBridge(this.kernel, fd, c, () => this.streams--);
    };
    c.notify = () => {
      if (c.state === 7) {
        this.streams--;
        this.kernel.host.close(fd);
        made((c.error || EAGAIN) as Errno);
      } else if (c.established) bridge();
    };
    this.stack.deliver();
    return 0;
  }

  /** As join, of a stream that was handed in, to whichever loopback somebody listens at. */
  forward(fd: number, port: number, made: (error: Errno | 0) => void): void {
    const six = this.hasListener(port, 6) && !this.hasListener(port, 4);
    const r = this.join(fd, six ? 6 : 4, port, made);
    if (r === 0) return;
    this.kernel.host.close(fd);
    made(r);
  }
  private hasListener(port: number, family: 4 | 6): boolean {
    for (const { binding, version } of this.stack.tcp.allListeners()) {
      if (binding.port !== port) continue;
      if (version === family || (family === 4 && isAny(binding.address) && !binding.onlyV6)) return true;
    }
    return false;
  }
}
