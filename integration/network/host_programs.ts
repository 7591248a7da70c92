/** Sandboxes of a NetWorld that have this machine's programs: /usr and /etc are its own, read-only. */
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Spec } from '../../proto/oci_spec.ts';
import type { NetWorld } from './net_world.ts';

const CAPABILITIES = 'NET_ADMIN NET_RAW NET_BIND_SERVICE SYS_ADMIN MKNOD KILL DAC_OVERRIDE CHOWN SETUID SETGID SYS_CHROOT'
  .split(' ')
  .map((name) => `CAP_${name}`);

/** namespace: of the host; absent: a network of lo alone. files: what lies in /data. It is valid for runc as well. */
export function hostBundle(
  world: NetWorld,
  script: string,
  namespace: string | null,
  files: Readonly<Record<string, string | Uint8Array>> = {},
): string {
  const bundle = join(world.runsc.folder, `host-programs-${world.runsc.newId()}`);
  const root = join(bundle, 'rootfs');
  for (const name of ['usr', 'etc', 'data', 'tmp', 'proc', 'sys', 'dev', 'run', 'var']) mkdirSync(join(root, name), { recursive: true });
  for (const name of ['bin', 'sbin', 'lib', 'lib64']) symlinkSync(`usr/${name}`, join(root, name));
  for (const [name, content] of Object.entries(files)) writeFileSync(join(root, 'data', name), content);
  const mount = (destination: string, type: string, ...options: string[]) => ({ destination, type, source: type, options });
  const network = namespace === null ? { type: 'network' } : { type: 'network', path: `/var/run/netns/${namespace}` };
  const spec: Spec = {
    ociVersion: '1.0.2',
    root: { path: 'rootfs' },
    hostname: 'box',
    process: {
      args: ['sh', '-c', script],
      cwd: '/',
      user: { uid: 0, gid: 0 },
      env: ['PATH=/usr/sbin:/usr/bin:/sbin:/bin'],
      capabilities: { bounding: CAPABILITIES, effective: CAPABILITIES, permitted: CAPABILITIES },
    },
    mounts: [
      mount('/proc', 'proc'),
      mount('/sys', 'sysfs'),
      mount('/dev', 'tmpfs', 'mode=755'),
      mount('/tmp', 'tmpfs'),
      ...['/usr', '/etc'].map((path) => ({ destination: path, type: 'bind', source: path, options: ['rbind', 'ro'] })),
    ],
    linux: {
      namespaces: [...['pid', 'mount', 'ipc', 'uts'].map((type) => ({ type })), network],
      devices: [{ path: '/dev/net/tun', type: 'c', major: 10, minor: 200, fileMode: 0o666, uid: 0, gid: 0 }],
    },
  };
  writeFileSync(join(bundle, 'config.json'), JSON.stringify(spec));
  return bundle;
}

/**
 * The sandbox as the router of a network behind it, whose only member is another namespace of its own: `within` runs a command there, and its
 * first process is told in /tmp/inner. link: what joins the two (va here, vb there) to the world.
 */
export function behind(link: string): string {
  return `echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv6/conf/all/forwarding
unshare -n sh -c 'echo $$ >/tmp/inner; exec sleep 100000' & while [ ! -s /tmp/inner ]; do sleep 0.02; done
inner=$(cat /tmp/inner); within() { nsenter -t $inner -n "$@"; }
ip link add va type veth peer name vb netns $inner; ip link set va up; within ip link set lo up; within ip link set vb up
${link}
echo ready; sleep 1000`;
}
