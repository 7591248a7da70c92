/** The gofer's loop: waits for requests on its connections and answers them one by one. */
import type { GoferConfig, GoferConnection } from '../lib/gofer_config.ts';
import type { Host } from '../lib/host.ts';
import { checkConnection } from './config.ts';
import { Connection, DESCRIPTORS_PER_FID, type HostObjects } from './connection.ts';
import { HANDLERS } from './handlers.ts';
import { HostCalls } from './host_calls.ts';

const POLL = 7;
const POLLIN = 1;
/** Descriptors kept free for everything but fids. */
const RESERVED_DESCRIPTORS = 256;
const MAX_CONTROL_MESSAGE = 65536;

export class Gofer {
  private readonly host: Host;
  private readonly calls: HostCalls;
  private readonly connections: Connection[] = [];
  private readonly maxFids: number;
  private readonly hostObjects: HostObjects;
  private controlFd: number;

  constructor(host: Host, config: GoferConfig, descriptorLimit: number) {
    this.host = host;
    this.calls = new HostCalls(host);
    this.controlFd = config.controlFd ?? -1;
    const { hostUds = 'none', hostFifo = 'none' } = config;
    this.hostObjects = {
      connectSockets: hostUds === 'open' || hostUds === 'all',
      makeSockets: hostUds === 'create' || hostUds === 'all',
      openFifos: hostFifo === 'open',
    };
    this.maxFids = Math.max(64, Math.floor((descriptorLimit - RESERVED_DESCRIPTORS) / DESCRIPTORS_PER_FID));
  }

  /** @throws Error if a mount's root cannot be looked at. */
  add(connection: GoferConnection): void {
    checkConnection(connection);
    this.connections.push(
      new Connection(this.host, this.calls, connection.socketFd, connection.mounts, HANDLERS, this.maxFids, this.hostObjects),
    );
  }

  /** Until nobody is left to serve. */
  run(): void {
    while (this.connections.length > 0 || this.controlFd >= 0) {
      const only = this.connections[0];
      // One connection: wait in its receive.
      if (this.connections.length === 1 && this.controlFd < 0 && only !== undefined) this.serve(only);
      else this.waitForSome();
    }
  }

  private serve(connection: Connection): void {
    let alive = connection.serve();
    while (alive && connection.channel.pending) alive = connection.serve();
    if (alive) return;
    connection.close();
    this.connections.splice(this.connections.indexOf(connection), 1);
  }

  private waitForSome(): void {
    const watched = [...this.connections];
    const fds = watched.map((connection) => connection.channel.fd);
    if (this.controlFd >= 0) fds.push(this.controlFd);
    // struct pollfd: fd, events | revents << 16
    const set = new Int32Array(fds.length * 2);
    for (const [i, fd] of fds.entries()) set.set([fd, POLLIN], 2 * i);
    for (;;) {
      if (this.host.syscall(POLL, set, fds.length, -1) <= 0) continue;
      const before = this.connections.length;
      if (watched.length < fds.length && (set[2 * watched.length + 1] as number) >>> 16 !== 0) this.control();
      for (const [i, connection] of watched.entries()) if ((set[2 * i + 1] as number) >>> 16 !== 0) this.serve(connection);
      if (this.connections.length !== before || (watched.length < fds.length && this.controlFd < 0)) return;
    }
  }

  /** One packet of the control socket: another connection. Its sender is runsc. */
  private control(): void {
    const buffer = new Uint8Array(MAX_CONTROL_MESSAGE);
    const { count, fds } = this.host.receiveWithFds(this.controlFd, buffer);
    if (count <= 0) {
      this.host.close(this.controlFd);
      this.controlFd = -1;
      return;
    }
    let answer = {};
    try {
      const asked = JSON.parse(Buffer.from(buffer.subarray(0, count)).toString('utf8')) as GoferConnection;
      checkConnection(asked);
      const take = (index: number): number => fds[index] ?? -1;
      const mounts = asked.mounts.map((mount) => ({ ...mount, rootFd: take(mount.rootFd) }));
      this.add({ socketFd: take(asked.socketFd), mounts });
    } catch (e) {
      for (const fd of fds) this.host.close(fd);
      answer = { error: (e as Error).message };
    }
    this.host.write(this.controlFd, Buffer.from(JSON.stringify(answer)));
  }
}
