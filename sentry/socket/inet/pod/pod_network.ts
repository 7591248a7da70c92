/**
 * The pod's network in the sandbox: its interfaces, addresses, routes and fixed neighbours are read from the host's namespace at the start,
 * and every later change there follows. What the sandbox itself changes stays in its own stack.
 */
import { errnoName } from '../../../../abi/errno.ts';
import * as L from '../../../../abi/netlink.ts';
import { POLLIN } from '../../../../abi/poll.ts';
import { type RouteMessage, RouteSocket } from '../../../../lib/rtnetlink.ts';
import { type IpAddress, isLoopback } from '../../../../netstack/address.ts';
import { NetInterface } from '../../../../netstack/interface.ts';
import { NUD_PERMANENT } from '../../../../netstack/link/neighbours.ts';
import type { TableEntry } from '../../../../netstack/routes.ts';
import type { Stack } from '../../../../netstack/stack.ts';
import type { Kernel } from '../../../kernel/kernel.ts';
import { type HostAddress, type HostLink, type HostRoute, parseAddress, parseLink, parseNeighbour, parseRoute } from './host_routes.ts';
import { PacketPort } from './packet_port.ts';
import { PodInterface } from './pod_interface.ts';

const LOOPBACK_INDEX = 1;
const ARPHRD_ETHER = 1;
/** Of all kinds together; more of the namespace's are not followed. */
const MAX_ROUTES = 4096;
const MAX_ADDRESSES = 1024;
const RESYNC_DELAY = 1e9;

/** An interface of the host's own network: there to be seen. */
class ShownInterface extends NetInterface {
  override send(): void {
    this.statistics.tx_dropped++;
  }
}

export class PodNetwork {
  readonly interfaces = new Map<number, PodInterface>();
  /** An interface has come: who records or counts is told. */
  onInterface: (device: PodInterface) => void = () => {};
  private readonly kernel: Kernel;
  private readonly stack: Stack;
  /** Null: the interfaces are only shown. */
  private readonly sockets: number[] | null;
  private readonly route: RouteSocket;
  private readonly acceptRouters: boolean;
  private readonly routes: { readonly key: string; readonly entry: TableEntry }[] = [];
  private readonly shown = new Map<number, ShownInterface>();
  private resyncing = false;

  /** packetFds: not bound; routeFd: with notifications. Both are ours. */
  constructor(kernel: Kernel, stack: Stack, packetFds: number[] | null, routeFd: number, settings: Readonly<Record<string, string>>) {
    this.kernel = kernel;
    this.stack = stack;
    this.sockets = packetFds;
    this.route = new RouteSocket(kernel.host, routeFd);
    const number = (name: string): number => Number(settings[name] ?? 0);
    const forwards = number('net/ipv6/conf/all/forwarding');
    this.acceptRouters = number('net/ipv6/conf/all/accept_ra') > (forwards === 0 ? 0 : 1);
  }

  start(): void {
    this.route.onNotification = (message) => this.follow(message);
    this.read();
    this.kernel.poll.add(this.route.fd, POLLIN, () => {
      if (this.route.drain() !== 0) this.resync();
    });
  }
  /** Everything that there is. */
  private read(): void {
    const list = (type: number, body: Uint8Array): void => {
      const r = this.route.list(type, body, (message) => this.follow(message));
      if (r !== 0) this.kernel.log(`network: cannot list the namespace's objects of kind ${type}: ${errnoName(r)}`);
    };
    list(L.RTM_GETLINK, new Uint8Array(L.Ifinfomsg.size));
    list(L.RTM_GETADDR, new Uint8Array(L.Ifaddrmsg.size));
    list(L.RTM_GETROUTE, new Uint8Array(L.Rtmsg.size));
    list(L.RTM_GETNEIGH, new Uint8Array(L.Ndmsg.size));
  }
  /** Notifications were lost: all is read again, a little later. What has gone meanwhile goes with its interface. */
  private resync(): void {
    if (this.resyncing) return;
    this.resyncing = true;
    this.kernel.timers.add(this.kernel.now() + RESYNC_DELAY, () => {
      this.resyncing = false;
      this.read();
    });
  }

  private follow({ type, body }: RouteMessage): void {
    switch (type) {
      case L.RTM_NEWLINK:
        this.takeLink(parseLink(body));
        return;
      case L.RTM_DELLINK:
        this.dropLink(parseLink(body).index);
        return;
      case L.RTM_NEWADDR:
      case L.RTM_DELADDR: {
        const address = parseAddress(body);
        if (address !== null) this.takeAddress(address, type === L.RTM_NEWADDR);
        return;
      }
      case L.RTM_NEWROUTE:
      case L.RTM_DELROUTE: {
        const route = parseRoute(body);
        if (route !== null) this.takeRoute(route, type === L.RTM_NEWROUTE);
        return;
      }
      case L.RTM_NEWNEIGH: {
        const neighbour = parseNeighbour(body);
        if (neighbour === null || (neighbour.state & NUD_PERMANENT) === 0 || neighbour.hardware === null) return;
        this.interfaces.get(neighbour.index)?.neighbours.set(neighbour.address, neighbour.hardware, NUD_PERMANENT);
      }
    }
  }

  private takeLink(link: HostLink): void {
    if (link.index === LOOPBACK_INDEX) return;
    const known = this.interfaces.get(link.index) ?? this.shown.get(link.index);
    if (known !== undefined) {
      known.mtu = link.mtu;
      known.name = link.name;
      if (link.hardware.length === 6) known.hardware = link.hardware;
      if (known instanceof PodInterface) known.setUp(link.up);
      else known.up = link.up;
      this.stack.onChange();
      return;
    }
    if (this.sockets === null) {
      const shown = new ShownInterface(link.index, link.name, link.mtu, link.hardware);
      shown.up = link.up;
      this.shown.set(link.index, shown);
      this.stack.addInterface(shown);
      return;
    }
    if (link.type !== ARPHRD_ETHER) {
      this.kernel.log(`network: ${link.name} is no Ethernet interface: the sandbox does not see it`);
      return;
    }
    const fd = this.sockets.shift();
    if (fd === undefined) {
      this.kernel.log(`network: no socket is left for ${link.name}: the sandbox does not see it`);
      return;
    }
    const device = new PodInterface(this.stack, new PacketPort(this.kernel.host, this.kernel.poll, fd, this.stack.buffers), link);
    const r = device.start();
    if (r < 0) {
      this.kernel.log(`network: cannot use ${link.name}: ${errnoName(r)}`);
      this.kernel.host.close(fd);
      return;
    }
    device.up = link.up;
    device.onConflict = (address) => this.conflict(device, address);
    device.ndp.acceptRouters = this.acceptRouters;
    this.interfaces.set(link.index, device);
    this.stack.addInterface(device);
    this.onInterface(device);
  }
  private dropLink(index: number): void {
    const device = this.interfaces.get(index) ?? this.shown.get(index);
    if (device === undefined) return;
    this.interfaces.delete(index);
    this.shown.delete(index);
    this.stack.removeInterface(device);
    if (device instanceof PodInterface) {
      device.neighbours.clear();
      device.stop();
    }
    this.forgetRoutes(device);
  }
  private forgetRoutes(device: NetInterface): void {
    for (let i = this.routes.length - 1; i >= 0; i--) if (this.routes[i]?.entry.device === device) this.routes.splice(i, 1);
  }
  private conflict(device: PodInterface, address: IpAddress): void {
    const text = [...address].map((c) => c.charCodeAt(0).toString(16).padStart(2, '0')).join('');
    this.kernel.log(`network: somebody else on ${device.name} claims our address ${text}`);
  }

  private deviceAt(index: number): NetInterface | null {
    return index === LOOPBACK_INDEX ? this.stack.loopback : (this.interfaces.get(index) ?? this.shown.get(index) ?? null);
  }
  private takeAddress({ index, address, prefixLength, broadcast, tentative, duplicate }: HostAddress, add: boolean): void {
    const device = this.deviceAt(index);
    if (device === null || (device === this.stack.loopback && isLoopback(address))) return;
    if (!(device instanceof PodInterface)) {
      const others = device.addresses.filter((own) => own.address !== address);
      device.addresses = add && others.length < MAX_ADDRESSES ? [...others, { address, prefixLength, broadcast }] : others;
      return;
    }
    if (!add || duplicate) device.removeAddress(address);
    else if (device.addresses.length < MAX_ADDRESSES) {
      device.addAddress({ address, prefixLength, broadcast }, tentative);
      if (address.length === 16) device.ndp.startSearch();
    }
    this.stack.deliver();
  }

  private takeRoute(route: HostRoute, add: boolean): void {
    const device = this.deviceAt(route.index);
    if (device === null) return;
    const { destination, prefixLength, gateway, source, metric, protocol } = route;
    const key = JSON.stringify([destination, prefixLength, gateway, route.index, metric]);
    const at = this.routes.findIndex((one) => one.key === key);
    if (at >= 0) this.stack.routes.remove((this.routes.splice(at, 1)[0] as { entry: TableEntry }).entry);
    if (!add || this.routes.length >= MAX_ROUTES) return;
    const entry: TableEntry = { destination, prefixLength, gateway, source, device, metric, protocol };
    this.routes.push({ key, entry });
    this.stack.routes.add(entry);
  }
}
