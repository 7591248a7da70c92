/** The stacks of a kernel, one a network namespace, and the sockets on them. */
import type { EgressPolicy } from '../../../lib/egress_policy.ts';
import { Egress } from '../../../netstack/egress/egress.ts';
import type { NetInterface } from '../../../netstack/interface.ts';
import { Stack } from '../../../netstack/stack.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import type { NetNamespace } from '../../kernel/namespaces.ts';
import { type HostNetwork, hostNetwork } from './host/host_socket.ts';
import type { InetSocket } from './inet_socket.ts';
import { removeOwnLinks } from './link_making.ts';
import type { PacketSocket } from './packet/packet_socket.ts';
import { Capture } from './pod/capture.ts';
import { HostSockets } from './pod/host_sockets.ts';
import { JsonLines } from './pod/json_lines.ts';
import { LoopbackDoors } from './pod/loopback_doors.ts';
import { NameRelay } from './pod/name_relay.ts';
import { PodNetwork } from './pod/pod_network.ts';

export class Network {
  readonly stack: Stack;
  readonly namespace: NetNamespace;
  /** Of the pod's namespace on the host; null: lo alone. */
  pod: PodNetwork | null = null;
  /** --network=host: sockets are the host's own. */
  host: HostNetwork | null = null;
  /** What may leave; null: everything. */
  egress: Egress | null = null;
  private openDoors: LoopbackDoors | null = null;
  /** Those that are open. */
  readonly sockets = new Set<InetSocket>();
  readonly packetSockets = new Set<PacketSocket>();
  constructor(namespace: NetNamespace, stack: Stack) {
    this.namespace = namespace;
    this.stack = stack;
  }
  /** A knob below /proc/sys/net that somebody has written. */
  setting(path: string): string | undefined {
    return this.namespace.sysctl.get(path);
  }
  counters(): NetworkCounters {
    const { stack, egress } = this;
    return {
      interfaces: stack.interfaces.map(({ name, statistics }) => ({ name, ...statistics })),
      tcp_connections: count(stack.tcp.all()),
      tcp_listeners: count(stack.tcp.allListeners()),
      udp_sockets: count(stack.udp.all()),
      egress_allowed: egress?.allowed ?? 0,
      egress_denied: egress?.denied ?? 0,
    };
  }
  /** The ways in from the host. sockets: who opens host sockets, if anybody does. */
  doors(kernel: Kernel, sockets: HostSockets | null = null): LoopbackDoors {
    this.openDoors ??= new LoopbackDoors(kernel, this.stack, sockets);
    return this.openDoors;
  }
}

/** For the statistics of a container; names as in proto/control.proto. */
export interface NetworkCounters {
  readonly interfaces: ({ readonly name: string } & NetInterface['statistics'])[];
  readonly tcp_connections: number;
  readonly tcp_listeners: number;
  readonly udp_sockets: number;
  readonly egress_allowed: number;
  readonly egress_denied: number;
}
const count = (items: Iterable<unknown>): number => {
  let n = 0;
  for (const _ of items) n++;
  return n;
};

/** What the pod's network is made of: descriptors that are ours from then on, and the namespace's settings. */
export interface PodDescription {
  readonly packetFds: number[];
  readonly routeFd: number;
  /** -1: no doors from the namespace's loopback. */
  readonly socketsFd: number;
  /** Names below /proc/sys. */
  readonly sysctls: Readonly<Record<string, string>>;
  /** A container engine answers names at 127.0.0.11. */
  readonly resolver: boolean;
  /** What may leave; null: everything. */
  readonly egress: EgressPolicy | null;
  /** File for its decisions; -1: none. */
  readonly egressLogFd: number;
  /** File for the packets; -1: none. */
  readonly captureFd: number;
}

/** ns between looks at connections that outlive their sockets. */
const END_INTERVAL = 1e9;

export class Networks {
  private readonly kernel: Kernel;
  private readonly byNamespace = new WeakMap<NetNamespace, Network>();
  private readonly byStack = new WeakMap<Stack, Network>();
  constructor(kernel: Kernel) {
    this.kernel = kernel;
  }
  /** A namespace begins with lo alone. */
  of(namespace: NetNamespace): Network {
    let network = this.byNamespace.get(namespace);
    if (network === undefined) {
      network = new Network(namespace, this.makeStack(namespace));
      if (namespace.bare) network.stack.loopback.takeDown();
      this.byNamespace.set(namespace, network);
      this.byStack.set(network.stack, network);
    }
    return network;
  }
  /** Nobody is in it, and no socket is open: what is on its way still leaves, then its interfaces go, and the other ends of its pairs. */
  end(namespace: NetNamespace): void {
    const network = this.byNamespace.get(namespace);
    if (network === undefined) return;
    const { kernel } = this;
    if (count(network.stack.tcp.all()) === 0) removeOwnLinks(network.stack);
    else kernel.timers.add(kernel.now() + END_INTERVAL, () => this.end(namespace));
  }
  /** Every stack is some network's. */
  ofStack(stack: Stack): Network {
    return this.byStack.get(stack) as Network;
  }
  /** The namespace gets the pod's interfaces. */
  attachPod(namespace: NetNamespace, pod: PodDescription): void {
    const { kernel } = this;
    const network = this.of(namespace);
    const capture = pod.captureFd < 0 ? null : new Capture(kernel, pod.captureFd);
    network.egress = this.makeEgress(network.stack, pod.egress, pod.egressLogFd);
    network.pod = new PodNetwork(kernel, network.stack, pod.packetFds, pod.routeFd, pod.sysctls);
    network.pod.onInterface = (device) => {
      device.egress = network.egress;
      capture?.attach(device);
    };
    network.pod.start();
    if (pod.socketsFd < 0) return;
    const sockets = new HostSockets(kernel.host, kernel.poll, pod.socketsFd);
    if (pod.resolver) {
      const relay = new NameRelay(kernel, network.stack, sockets);
      relay.onAnswer = (message) => network.egress?.learn(message);
    }
    network.doors(kernel, sockets);
  }
  /** --network=host: the namespace's sockets are host sockets; its interfaces and routes are shown. */
  attachHost(namespace: NetNamespace, routeFd: number, policy: EgressPolicy | null, logFd: number): void {
    const { kernel } = this;
    const network = this.of(namespace);
    network.egress = this.makeEgress(network.stack, policy, logFd);
    network.host = hostNetwork(kernel.host, kernel.poll, network.egress);
    network.pod = new PodNetwork(kernel, network.stack, null, routeFd, {});
    network.pod.start();
  }
  private makeEgress(stack: Stack, policy: EgressPolicy | null, logFd: number): Egress | null {
    if (policy === null) return null;
    const egress = new Egress(policy, stack.environment);
    const log = logFd < 0 ? null : new JsonLines(this.kernel, logFd);
    egress.onDecision = (decision) => log?.add(decision);
    return egress;
  }
  private makeStack(namespace: NetNamespace): Stack {
    const { kernel } = this;
    return new Stack({
      now: () => kernel.now(),
      startTimer: (deadline, fire) => {
        const timer = kernel.timers.add(deadline, fire);
        return () => kernel.timers.cancel(timer);
      },
      random: (limit) => kernel.randomBelow(limit),
      setting: (path) => namespace.sysctl.get(path),
    });
  }
}
