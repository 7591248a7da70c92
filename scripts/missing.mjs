// Prints what this machine lacks for the integration suites, in one line; nothing if they can run. With --some: a line for each suite that
// will be skipped although the others run.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const cache = process.env.TSVISOR_CACHE ?? join(root, '.cache');
const lacking = [];
if (process.getuid() !== 0) lacking.push('root');
const release = existsSync('/etc/os-release') ? readFileSync('/etc/os-release', 'utf8') : '';
if (!/^ID="?debian"?$/m.test(release)) lacking.push('Debian');
for (const program of ['containerd', 'ctr', 'runc', 'busybox', 'debootstrap', 'python3', 'sqlite3', 'git'])
  if (spawnSync('sh', ['-c', `PATH=$PATH:/usr/sbin command -v ${program}`]).status !== 0) lacking.push(program);
for (const image of ['busybox', 'debian']) if (!existsSync(join(cache, 'images', `${image}.tar`))) lacking.push(`the ${image} image`);
if (!process.argv.includes('--some')) {
  console.log(lacking.join(', '));
  process.exit(0);
}
const program = (name) => spawnSync('sh', ['-c', `PATH=$PATH:/usr/sbin command -v ${name}`]).status === 0;
const suites = {
  'integration/programs': existsSync(join(cache, 'images/programs-rootfs')) || 'programs image',
  'integration/containerd/versions, containerd 1.7': existsSync(join(cache, 'containerd/1.7/usr/bin/containerd')) || 'containerd 1.7',
  'integration/containerd/versions, containerd 2': existsSync(join(cache, 'containerd/2/usr/bin/containerd')) || 'containerd 2',
  'integration/conformance, tunnels': existsSync('/dev/net/tun') || '/dev/net/tun',
  'integration/filesystems, quotas': program('mkfs.btrfs') || 'mkfs.btrfs (btrfs-progs)',
  'integration/bubblewrap': program('bwrap') || 'bwrap (bubblewrap)',
  'integration/cri': existsSync('/usr/lib/cni/bridge') || 'containernetworking-plugins',
  'integration/docker': (program('dockerd') && program('docker')) || 'docker.io',
  'integration/kubernetes': program('kubectl') || 'kubectl (kubernetes-client)',
  'integration/network/interop':
    ['programs', 'network'].every((name) => existsSync(join(cache, `images/${name}-rootfs`))) || 'network image (scripts/images/build.sh)',
  'integration/network/tunnels':
    ['openvpn', 'runc', 'python3', 'iptables-legacy', 'tcpdump'].find((name) => !program(name)) ??
    (existsSync('/dev/net/tun') || '/dev/net/tun'),
  'integration/network/translation6': ['python3', 'ip6tables-legacy', 'ping'].find((name) => !program(name)) ?? true,
  'integration/network/tools':
    ['ip', 'ping', 'traceroute', 'tcpdump', 'iptables-legacy', 'ifconfig'].find((name) => !program(name)) ?? true,
};
for (const [suite, lack] of Object.entries(suites)) if (lack !== true) console.log(`${suite}: no ${lack}`);
