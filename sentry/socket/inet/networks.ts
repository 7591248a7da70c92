/** The stacks of a kernel, one a network namespace, and the sockets on them. */
import { Stack } from '../../../netstack/stack.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import type { NetNamespace } from '../../kernel/namespaces.ts';
import type { InetSocket } from './inet_socket.ts';
import { PodNetwork } from './pod/pod_network.ts';

export class Network {
  readonly stack: Stack;
  /** Of the pod's namespace on the host; null: lo alone. */
  pod: PodNetwork | null = null;
  /** Those that are open. */
  readonly sockets = new Set<InetSocket>();
  constructor(stack: Stack) {
    this.stack = stack;
  }
}

export class Networks {
  private readonly kernel: Kernel;
  private readonly byNamespace = new WeakMap<NetNamespace, Network>();
  constructor(kernel: Kernel) {
    this.kernel = kernel;
  }
  /** A namespace begins with lo alone. */
  of(namespace: NetNamespace): Network {
    let network = this.byNamespace.get(namespace);
    if (network === undefined) {
      network = new Network(this.makeStack());
      this.byNamespace.set(namespace, network);
    }
    return network;
  }
  /** The namespace gets the pod's interfaces. */
  attachPod(namespace: NetNamespace, packetFds: number[], routeFd: number, settings: Readonly<Record<string, string>>): void {
    const network = this.of(namespace);
    network.pod = new PodNetwork(this.kernel, network.stack, packetFds, routeFd, settings);
    network.pod.start();
  }
  private makeStack(): Stack {
    const { kernel } = this;
    return new Stack({
      now: () => kernel.now(),
      startTimer: (deadline, fire) => {
        const timer = kernel.timers.add(deadline, fire);
        return () => kernel.timers.cancel(timer);
      },
      random: (limit) => kernel.randomBelow(limit),
      setting: (path) => kernel.sysctl.get(path),
    });
  }
}
