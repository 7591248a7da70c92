/** Real programs on both ends of the veth pair: the network image once as a sandbox and once as a chroot in the peer's namespace. */
import { type ChildProcess, spawn } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Spec } from '../../proto/oci_spec.ts';
import { RUNSC } from '../runsc_bundle.ts';
import { NetWorld, sh } from './net_world.ts';

const IMAGES = join(process.env.TSVISOR_CACHE ?? join(resolve(__dirname, '../..'), '.cache'), 'images');
/** From above to below. */
const LAYERS = ['network-rootfs', 'programs-rootfs'].map((name) => join(IMAGES, name));
const CAPABILITIES =
  'CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW NET_ADMIN SETGID SETUID SETFCAP SETPCAP NET_BIND_SERVICE SYS_CHROOT KILL AUDIT_WRITE'
    .split(' ')
    .map((name) => `CAP_${name}`);
const ENV = { INTEROP: '/interop', PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' };
const COMMON = '. $INTEROP/await.sh; . $INTEROP/common.sh;';
/** In mount and process namespaces of its own, so that nothing outlives the command. */
const ENTER = 'root=$1; shift; mount --rbind /dev "$root/dev"; mount -t proc proc "$root/proc"; exec chroot "$root" "$@"';

export const imageMissing = (): boolean => !LAYERS.every((path) => existsSync(path));

export type Side = 'sandbox' | 'outside';

export class InteropWorld {
  readonly net = new NetWorld();
  private readonly roots: Readonly<Record<Side, string>>;
  /** Its id. */
  sandbox: string | null = null;
  private readonly servers: ChildProcess[] = [];

  /** scripts: the folder that is /interop on both sides. */
  constructor(scripts: string) {
    const { folder } = this.net.runsc;
    const shared = join(folder, 'interop');
    cpSync(scripts, shared, { recursive: true });
    cpSync(join(__dirname, 'await.sh'), join(shared, 'await.sh'));
    sh(`ssh-keygen -q -t ed25519 -N '' -C test -f ${shared}/id_test`);
    this.roots = { sandbox: this.mount('sandbox', shared), outside: this.mount('outside', shared) };
  }
  private mount(side: Side, shared: string): string {
    const place = join(this.net.runsc.folder, side);
    const [root, upper, work] = ['rootfs', 'upper', 'work'].map((name) => join(place, name)) as [string, string, string];
    for (const path of [root, work, upper]) mkdirSync(path, { recursive: true });
    cpSync(shared, join(upper, 'interop'), { recursive: true });
    sh(`mount -t overlay overlay -o lowerdir=${LAYERS.join(':')},upperdir=${upper},workdir=${work} ${root}`);
    return root;
  }

  async startSandbox(platform: string): Promise<void> {
    const { net } = this;
    const bundle = join(net.runsc.folder, `bundle-${platform}`);
    mkdirSync(bundle);
    const mount = (destination: string, type: string, ...options: string[]) => ({ destination, type, source: type, options });
    const spec: Spec = {
      ociVersion: '1.0.2',
      root: { path: this.roots.sandbox },
      hostname: 'box',
      process: {
        args: ['sh', '-c', 'echo ready; exec sleep 100000'],
        cwd: '/',
        user: { uid: 0, gid: 0 },
        env: Object.entries(ENV).map(([name, value]) => `${name}=${value}`),
        capabilities: { bounding: CAPABILITIES, effective: CAPABILITIES, permitted: CAPABILITIES },
        rlimits: [{ type: 'RLIMIT_NOFILE', hard: 32_768, soft: 4096 }],
      },
      mounts: [
        mount('/proc', 'proc'),
        mount('/sys', 'sysfs', 'ro'),
        mount('/dev', 'tmpfs', 'mode=755'),
        mount('/dev/pts', 'devpts', 'newinstance', 'ptmxmode=0666'),
        mount('/dev/shm', 'tmpfs', 'mode=1777'),
        mount('/tmp', 'tmpfs', 'mode=1777'),
      ],
      linux: {
        namespaces: [...['pid', 'mount', 'ipc', 'uts'].map((type) => ({ type })), { type: 'network', path: `/var/run/netns/${net.pod}` }],
      },
    };
    writeFileSync(join(bundle, 'config.json'), JSON.stringify(spec));
    this.sandbox = await net.startBundle(bundle, ['--platform', platform]);
  }
  async stopSandbox(): Promise<void> {
    if (this.sandbox !== null) await this.net.stop(this.sandbox);
    this.sandbox = null;
  }

  private command(side: Side, script: string): [string, string[]] {
    const argv = ['bash', '-c', script];
    if (side === 'sandbox') return [RUNSC, ['--root', this.net.runsc.state, 'exec', this.sandbox as string, ...argv]];
    const enter = ['unshare', '-m', '-p', '-f', '--kill-child', 'sh', '-ec', ENTER, 'sh', this.roots.outside];
    return ['ip', ['netns', 'exec', this.net.peer, ...enter, ...argv]];
  }
  /** The server of a pair: until `stopServers`, or the sandbox's end. */
  serve(side: Side, pair: string): void {
    const [command, args] = this.command(side, `${COMMON} . $INTEROP/${pair}.sh; serve`);
    const log = join(this.net.runsc.folder, `${pair}-${side}.log`);
    const child = spawn('sh', ['-c', `exec "$@" >${log} 2>&1`, 'sh', command, ...args], {
      stdio: 'ignore',
      env: { ...process.env, ...ENV },
    });
    this.servers.push(child);
  }
  stopServers(): void {
    for (const child of this.servers.splice(0)) child.kill('SIGKILL');
  }
  /**
   * What the client of a pair prints, standard error included, and its status. count: $COUNT. halfway: called when it has printed its first line; it
   * goes on afterwards.
   */
  ask(side: Side, pair: string, address: string, seconds: number, count = 0, halfway = (): void => {}): Promise<string> {
    const script = `${COMMON} . $INTEROP/${pair}.sh; COUNT=${count}; await ${address} $PORT; ask ${address}`;
    const [command, args] = this.command(side, script);
    const child = spawn('timeout', ['--foreground', '-k', '2', String(seconds), command, ...args], { env: { ...process.env, ...ENV } });
    let said = '';
    const take = (text: string): void => {
      const first = !said.includes('\n') && text.includes('\n');
      said += text;
      if (!first) return;
      halfway();
      child.stdin.end('\n');
    };
    child.stdin.on('error', () => {}); // it does not read
    child.stdout.setEncoding('utf8').on('data', take);
    child.stderr.setEncoding('utf8').on('data', take);
    return new Promise((done) => child.on('close', (status) => done(`${said}status ${status}`)));
  }

  async close(): Promise<void> {
    this.stopServers();
    await this.stopSandbox();
    for (const root of Object.values(this.roots)) sh(`umount ${root}`);
    await this.net.close();
  }
}
