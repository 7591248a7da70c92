/** A pod's network namespace and a peer's, joined by a veth pair, and sandboxes in the former. Names are of this process's own. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Spec } from '../../proto/oci_spec.ts';
import { eventually, RUNSC, RunscWorld, missing as runscMissing } from '../runsc_bundle.ts';

const PROGRAMS = ['ip', 'busybox', 'gcc'];
const CAPABILITIES = [
  'CAP_NET_ADMIN',
  'CAP_NET_RAW',
  'CAP_NET_BIND_SERVICE',
  'CAP_KILL',
  'CAP_DAC_OVERRIDE',
  'CAP_CHOWN',
  'CAP_SETUID',
  'CAP_SETGID',
];

function has(program: string): boolean {
  return spawnSync('sh', ['-c', `PATH=$PATH:/usr/sbin:/sbin command -v ${program}`]).status === 0;
}
/** What this machine lacks for these tests. */
export function missing(): string[] {
  return [...runscMissing(), ...PROGRAMS.filter((p) => !has(p))];
}

export const POD = '10.77.0.2';
export const PEER = '10.77.0.1';
export const POD6 = 'fd77::2';
export const PEER6 = 'fd77::1';

export function sh(command: string, input?: string): string {
  const r = spawnSync('sh', ['-c', command], {
    encoding: 'utf8',
    timeout: 60_000,
    maxBuffer: 64 << 20,
    env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` },
    ...(input === undefined ? {} : { input }),
  });
  if (r.status !== 0) throw new Error(`${command}: status ${r.status}: ${r.stderr}`);
  return r.stdout;
}

function joinDirectly(pod: string, peer: string): void {
  sh(`ip link add v0 netns ${peer} type veth peer name eth0 netns ${pod}`);
}

export class NetWorld {
  readonly runsc = new RunscWorld();
  readonly pod = `tpod${process.pid}`;
  readonly peer = `tpeer${process.pid}`;
  private readonly children: ChildProcess[] = [];
  private readonly running: string[] = [];

  /** join: makes v0 of the peer and eth0 of the pod, two ends of one link. */
  constructor(join: (pod: string, peer: string) => void = joinDirectly) {
    const { pod, peer } = this;
    sh(`ip netns add ${pod}; ip netns add ${peer}; ip -n ${pod} link set lo up; ip -n ${peer} link set lo up`);
    join(pod, peer);
    sh(`ip -n ${peer} addr add ${PEER}/24 dev v0; ip -n ${peer} addr add ${PEER6}/64 dev v0 nodad; ip -n ${peer} link set v0 up`);
    sh(`ip -n ${pod} addr add ${POD}/24 dev eth0; ip -n ${pod} addr add ${POD6}/64 dev eth0 nodad; ip -n ${pod} link set eth0 up`);
    sh(`ip -n ${pod} route add default via ${PEER}`);
  }

  /** In a namespace: what the command prints. */
  in(namespace: string, command: string, input?: string): string {
    return sh(`ip netns exec ${namespace} ${command}`, input);
  }
  /** Goes on until the world is closed. */
  background(namespace: string, argv: readonly string[]): ChildProcess {
    const child = spawn('ip', ['netns', 'exec', namespace, ...argv], { stdio: ['ignore', 'pipe', 'inherit'] });
    this.children.push(child);
    return child;
  }

  /** files: what lies in the container's /data and /etc. */
  bundle(script: string, files: Readonly<Record<string, string | Uint8Array>> = {}): string {
    const spec: Partial<Spec> = {
      mounts: [
        { destination: '/proc', type: 'proc', source: 'proc' },
        { destination: '/sys', type: 'sysfs', source: 'sysfs' },
        { destination: '/dev', type: 'tmpfs', source: 'tmpfs' },
        { destination: '/tmp', type: 'tmpfs', source: 'tmpfs' },
      ],
      linux: {
        namespaces: [...['pid', 'mount', 'ipc', 'uts'].map((type) => ({ type })), { type: 'network', path: `/var/run/netns/${this.pod}` }],
      },
    };
    const caps = { bounding: CAPABILITIES, effective: CAPABILITIES, permitted: CAPABILITIES };
    const bundle = this.runsc.bundle({ args: ['busybox', 'sh', '-c', script], process: { capabilities: caps }, spec });
    for (const [path, content] of Object.entries(files)) {
      const place = join(bundle, 'rootfs', path);
      mkdirSync(join(place, '..'), { recursive: true });
      writeFileSync(place, content);
    }
    return bundle;
  }
  /** To its end. */
  run(script: string, global: readonly string[] = [], files: Readonly<Record<string, string | Uint8Array>> = {}) {
    return this.runsc.runsc(['run', '--bundle', this.bundle(script, files), this.runsc.newId()], { global });
  }
  /** Until `stop`. Ready when its output holds "ready". */
  start(script: string, global: readonly string[] = [], files: Readonly<Record<string, string | Uint8Array>> = {}): Promise<string> {
    return this.startBundle(this.bundle(script, files), global);
  }
  async startBundle(bundle: string, global: readonly string[]): Promise<string> {
    const id = this.runsc.newId();
    const out = join(this.runsc.folder, `${id}.out`);
    const argv = ['--root', this.runsc.state, ...global, 'run', '--bundle', bundle, id];
    const child = spawn('sh', ['-c', `exec "$@" >${out} 2>&1`, 'sh', RUNSC, ...argv], { stdio: 'ignore' });
    this.children.push(child);
    this.running.push(id);
    if (!(await eventually(() => this.output(id).includes('ready'), 30_000))) throw new Error(`not ready: ${this.output(id)}`);
    return id;
  }
  output(id: string): string {
    try {
      return readFileSync(join(this.runsc.folder, `${id}.out`), 'utf8');
    } catch {
      return '';
    }
  }
  async stop(id: string): Promise<void> {
    this.runsc.runsc(['kill', id, 'KILL']);
    await eventually(() => this.runsc.runsc(['state', id]).status !== 0, 10_000);
    this.runsc.runsc(['delete', '--force', id]);
    this.running.splice(this.running.indexOf(id), 1);
  }

  async close(): Promise<void> {
    for (const id of [...this.running]) await this.stop(id);
    for (const child of this.children) child.kill('SIGKILL');
    this.runsc.close();
    for (const name of [this.pod, this.peer]) spawnSync('ip', ['netns', 'del', name]);
    rmSync(this.runsc.folder, { recursive: true, force: true });
  }
}
export { eventually };
