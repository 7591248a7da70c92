/** The stacks of a kernel, one a network namespace, and the sockets on them. */
import { Stack } from '../../../netstack/stack.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import type { NetNamespace } from '../../kernel/namespaces.ts';
import type { InetSocket } from './inet_socket.ts';

export class Network {
  readonly stack: Stack;
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
  private makeStack(): Stack {
    const { kernel } = this;
    return new Stack({
      now: () => kernel.now(),
      startTimer: (deadline, fire) => {
        const timer = kernel.timers.add(deadline, fire);
        return () => kernel.timers.cancel(timer);
      },
      random: (limit) => kernel.randomBelow(limit),
    });
  }
}
