/** A link that loses, doubles, delays and reorders frames from a seed (relay.c), between two veth pairs: this needs nothing of the kernel's. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { eventually, sh } from './net_world.ts';

/** Of 10,000 frames; microseconds. */
export interface Conditions {
  readonly seed: number;
  readonly loss?: number;
  readonly duplicate?: number;
  readonly reorder?: number;
  readonly delay?: number;
  readonly jitter?: number;
}

export class Relay {
  private readonly namespace = `trelay${process.pid}`;
  private readonly program: string;
  private running: ChildProcess | null = null;

  /** folder: where the program is built. */
  constructor(folder: string) {
    this.program = join(folder, 'relay');
    sh(`gcc -O2 -Wall -Wextra -Werror -o ${this.program} ${join(__dirname, 'relay.c')}`);
  }
  readonly join = (pod: string, peer: string): void => {
    const { namespace, program } = this;
    sh(`ip netns add ${namespace}`);
    sh(`ip link add v0 netns ${peer} type veth peer name left netns ${namespace}`);
    sh(`ip link add eth0 netns ${pod} type veth peer name right netns ${namespace}`);
    for (const [place, name] of [
      [peer, 'v0'],
      [pod, 'eth0'],
      [namespace, 'left'],
      [namespace, 'right'],
    ])
      sh(`ip netns exec ${place} ${program} plain ${name}`);
    // The relay alone passes what comes, and nothing is said of its own accord.
    sh(`ip netns exec ${namespace} sysctl -qw net.ipv6.conf.all.disable_ipv6=1`);
    for (const name of ['left', 'right']) sh(`ip -n ${namespace} link set ${name} up`);
  };
  async start({ seed, loss = 0, duplicate = 0, reorder = 0, delay = 0, jitter = 0 }: Conditions): Promise<void> {
    this.stop();
    const numbers = [seed, loss, duplicate, reorder, delay, jitter].map(String);
    const child = spawn('ip', ['netns', 'exec', this.namespace, this.program, 'left', 'right', ...numbers], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let said = '';
    child.stdout.on('data', (text) => void (said += text));
    this.running = child;
    if (!(await eventually(() => said.includes('ready'), 10_000))) throw new Error('the relay did not start');
  }
  stop(): void {
    this.running?.kill('SIGKILL');
    this.running = null;
  }
  close(): void {
    this.stop();
    spawnSync('ip', ['netns', 'del', this.namespace]);
  }
}
