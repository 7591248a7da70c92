/** A node without a kubelet: containerd with its CRI plugin and a bridge network, and the pods and containers that tests make on it. */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { BUSYBOX, Containerd, eventually, missing } from '../containerd/containerd.ts';
import { type CriSettings, isInstalled, majorOf, type Version } from '../containerd/versions.ts';
import { CriClient, EXITED } from './cri.ts';

const PAUSE = 'docker.io/library/pause:test';
/** A network that nobody else on the machine is likely to use. */
const SUBNET = '10.217.0.0/24';

export function lacking(version: Version): string[] {
  return [
    ...missing(),
    ...(existsSync('/usr/lib/cni/bridge') ? [] : ['containernetworking-plugins']),
    ...(isInstalled(version) ? [] : [`containerd ${version}`]),
  ];
}

export interface PodOptions {
  readonly annotations?: Readonly<Record<string, string>>;
  readonly linux?: object;
  readonly hostname?: string;
}

export interface ContainerOptions {
  readonly command: readonly string[];
  readonly name?: string;
  readonly attempt?: number;
  /** More of ContainerConfig. */
  readonly config?: object;
  /** LinuxContainerConfig. */
  readonly linux?: object;
}

interface PodConfig {
  readonly log_directory: string;
  readonly linux: { readonly cgroup_parent: string };
}

export interface Pod {
  readonly id: string;
  readonly config: PodConfig;
}

export class CriWorld {
  readonly containerd: Containerd;
  readonly cri: CriClient;
  readonly bridge: string;
  #names = 0;
  /** Mounts of others, from before. */
  readonly #before = new Set(readFileSync('/proc/mounts', 'utf8').split('\n'));

  private constructor(containerd: Containerd, bridge: string) {
    this.containerd = containerd;
    this.bridge = bridge;
    this.cri = new CriClient(containerd.address);
  }

  static async start(version: Version, settings: Omit<CriSettings, 'pauseImage'> = {}): Promise<CriWorld> {
    const containerd = await Containerd.start(['pause.tar', 'busybox.tar'], { version, cri: { ...settings, pauseImage: PAUSE } });
    const bridge = `cri${process.pid}`;
    const plugins = [
      {
        type: 'bridge',
        bridge,
        isGateway: true,
        ipMasq: false,
        ipam: {
          type: 'host-local',
          dataDir: join(containerd.folder, 'ipam'),
          ranges: [[{ subnet: SUBNET }]],
          routes: [{ dst: '0.0.0.0/0' }],
        },
      },
      { type: 'portmap', capabilities: { portMappings: true } },
    ];
    writeFileSync(join(containerd.folder, 'cni/10-test.conflist'), JSON.stringify({ cniVersion: '0.4.0', name: 'test', plugins }));
    const world = new CriWorld(containerd, bridge);
    const ready = async (): Promise<boolean> => {
      const { status } = await world.cri.call<{ status: { conditions: { status: boolean }[] } }>('Status');
      return status.conditions.every((c) => c.status);
    };
    for (let i = 0; !(await ready()); i++) {
      if (i === 200) throw new Error(`CRI is not ready:\n${containerd.log.slice(-2000)}`);
      await new Promise((r) => setTimeout(r, 50));
    }
    return world;
  }

  async stop(): Promise<void> {
    const { items } = await this.cri.call<{ items: { id: string }[] }>('ListPodSandbox');
    for (const { id } of items) await this.removePod(id);
    this.cri.close();
    await this.containerd.stop();
    spawnSync('ip', ['link', 'delete', this.bridge]);
    // The pods' own groups, which a kubelet makes and removes.
    for (const controller of list('/sys/fs/cgroup')) {
      const folder = join('/sys/fs/cgroup', controller);
      for (const name of list(folder)) if (name.startsWith(`tsvisor-pod${process.pid}-`)) spawnSync('rmdir', [join(folder, name)]);
    }
  }

  podConfig(options: PodOptions = {}): PodConfig {
    const name = `pod${process.pid}-${++this.#names}`;
    const logs = join(this.containerd.folder, 'logs', name);
    mkdirSync(logs, { recursive: true });
    return {
      metadata: { name, uid: `${name}-uid`, namespace: 'default', attempt: 0 },
      hostname: options.hostname ?? name,
      log_directory: logs,
      annotations: options.annotations ?? {},
      linux: { cgroup_parent: `/tsvisor-${name}`, ...options.linux },
    } as PodConfig;
  }

  async runPod(options: PodOptions = {}): Promise<Pod> {
    const config = this.podConfig(options);
    const { pod_sandbox_id: id } = await this.cri.call<{ pod_sandbox_id: string }>('RunPodSandbox', { config, runtime_handler: 'runsc' });
    return { id, config };
  }

  async create(pod: Pod, options: ContainerOptions): Promise<string> {
    const name = options.name ?? `c${++this.#names}`;
    const config = {
      metadata: { name, attempt: options.attempt ?? 0 },
      image: { image: BUSYBOX },
      command: options.command,
      log_path: `${name}.log`,
      linux: { security_context: { namespace_options: { pid: 1 } }, ...options.linux },
      ...options.config,
    };
    const request = { pod_sandbox_id: pod.id, config, sandbox_config: pod.config };
    return (await this.cri.call<{ container_id: string }>('CreateContainer', request)).container_id;
  }

  async run(pod: Pod, options: ContainerOptions): Promise<string> {
    const id = await this.create(pod, options);
    await this.cri.call('StartContainer', { container_id: id });
    return id;
  }

  /** Its exit code. */
  async ended(id: string): Promise<number> {
    for (const end = Date.now() + 30_000; ; ) {
      const status = await this.cri.status(id);
      if (status.state === EXITED) return status.exit_code;
      if (Date.now() > end) throw new Error(`container ${id} does not end`);
      await new Promise((r) => setTimeout(r, 20));
    }
  }

  async removePod(id: string): Promise<void> {
    await this.cri.call('StopPodSandbox', { pod_sandbox_id: id });
    await this.cri.call('RemovePodSandbox', { pod_sandbox_id: id });
  }

  /** What containers have printed, without the log's columns. */
  log(pod: Pod, name: string): string {
    const text = readFileSync(join(pod.config.log_directory, `${name}.log`), 'utf8');
    return text
      .split('\n')
      .filter(Boolean)
      .map((line) => line.split(' ').slice(3).join(' '))
      .join('\n');
  }

  /** What is on this machine because of this node; empty when everything is gone. */
  leftovers(): string[] {
    const lines = (path: string): string[] => readFileSync(path, 'utf8').split('\n');
    const { folder } = this.containerd;
    return [
      ...processesOf(this.containerd.address),
      ...lines('/proc/mounts').filter((l) => l.includes(`${folder}/`) || (/netns\/cni-/.test(l) && !this.#before.has(l))),
      ...list(join(folder, 'state/runsc/k8s.io')).filter((n) => !n.startsWith('.')),
      ...list('/sys/fs/cgroup/memory').filter(
        (n) => n.startsWith(`tsvisor-pod${process.pid}-`) && list(join('/sys/fs/cgroup/memory', n)).some((c) => /^[0-9a-f]{64}$/.test(c)),
      ),
      ...list(join(folder, 'ipam/test'))
        .filter((n) => /^\d/.test(n))
        .map((n) => `address ${n}`),
      ...execFileSync('ip', ['-o', 'link'], { encoding: 'utf8' })
        .split('\n')
        .filter((l) => l.includes(`master ${this.bridge}`)),
    ];
  }

  settled(patience = 10_000): Promise<boolean> {
    return eventually(() => this.leftovers().length === 0, patience);
  }
}

export { majorOf };

function processesOf(address: string): string[] {
  return list('/proc')
    .filter((pid) => {
      try {
        const line = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
        return /^\d+$/.test(pid) && line.includes(`\0-address\0${address}\0`);
      } catch {
        return false;
      }
    })
    .map((pid) => `shim ${pid}`);
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
