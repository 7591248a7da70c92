/** /dev/net/tun with real programs: what iproute2 prints compared with runc's, and OpenVPN with Linux at the other end. */
import { type ChildProcess, spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { behind, hostBundle } from './host_programs.ts';
import { eventually, missing, NetWorld, PEER, POD, sh } from './net_world.ts';

const PLATFORMS = (process.env.TSVISOR_TEST_PLATFORMS ?? 'systrap,ptrace').split(',');
const PROGRAMS = ['openvpn', 'runc', 'python3', 'iptables-legacy', 'tcpdump'];
const lacking = [...missing(), ...PROGRAMS.filter((p) => spawnSync('sh', ['-c', `PATH=$PATH:/usr/sbin command -v ${p}`]).status !== 0)];
const suite = lacking.length === 0 && existsSync('/dev/net/tun') ? describe : describe.skip;
const STREAM = join(__dirname, 'echo_stream.py');
const BYTES = 1 << 20;

/** Everything that may differ between two kernels: numbers of interfaces, their queueing. */
const TUNTAP = `exec 2>&1; show() { sed -E 's/^[0-9]+: //; s/ qdisc [a-z_]+//; s/ (numtxqueues|gso_max|gro_max|tso_max|promiscuity|minmtu|allmulti|addrgenmode).*//; s/ +$//'; }
ip tuntap; ip tuntap add mode tun name t0 user 1000 group 2000; ip tuntap add mode tap name t1 pi vnet_hdr multi_queue
ip tuntap add mode tap name t0 || echo status $?
ip tuntap
for file in tun_flags owner group type addr_len address tx_queue_len flags; do cat /sys/class/net/t0/$file; done
ip link set t0 up; ip addr add 10.1.0.1 peer 10.1.0.2 dev t0; ip link set t1 address 02:00:00:00:00:07; ip link set t1 txqueuelen 77 mtu 1400
while ! ip link show t0 | grep -q 'state DOWN'; do sleep 0.05; done
ip -4 addr show dev t0 | show; ip -4 route; ip -d link show t1 | show; ip link show type tun | show
ip link add t3 type tun 2>/dev/null || echo status $?
mknod /tmp/tun c 10 200 && python3 -c 'import fcntl, os
fd = os.open("/tmp/tun", os.O_RDWR)
print(fcntl.ioctl(fd, 0x400454ca, bytes(16) + b"\\1" + bytes(23))[:16])
os.system("ip -d tuntap show dev tun0")'
ip tuntap del mode tun name t0; ip link del t1; ip tuntap; echo end`;

suite('tunnels', () => {
  let world: NetWorld;
  let key: string;
  beforeAll(() => {
    world = new NetWorld();
    key = join(world.runsc.folder, 'key');
    sh(`openvpn --genkey secret ${key}`);
  });
  afterAll(() => world.close());
  jest.setTimeout(120_000);

  const inside = (id: string, command: string): string => {
    const r = world.runsc.runsc(['exec', id, 'sh', '-c', command]);
    if (r.status !== 0) throw new Error(`${command}: ${r.status} ${r.stdout}${r.stderr}`);
    return r.stdout;
  };
  const files = (): Record<string, Uint8Array> => ({ key: readFileSync(key), 'echo_stream.py': readFileSync(STREAM) });
  /** In the peer's namespace, and what it prints. */
  const program = (argv: readonly string[]): { child: ChildProcess; text: () => string } => {
    const child = world.background(world.peer, argv);
    let text = '';
    child.stdout?.on('data', (part: Buffer) => (text += part.toString()));
    return { child, text: () => text };
  };
  const vpn = (kind: string, local: string, remote: string, others: string): string[] =>
    `openvpn --dev ${kind} --ifconfig ${local} ${remote} --secret ${key} --cipher AES-256-CBC --ping 1 --verb 3 ${others}`.split(' ');

  test.each(PLATFORMS)('what iproute2 shows is what it shows under runc, %s', (platform) => {
    const id = world.runsc.newId();
    const bundle = hostBundle(world, TUNTAP, null);
    const native = spawnSync('runc', ['--root', join(world.runsc.folder, 'runc'), 'run', '--bundle', bundle, id], { encoding: 'utf8' });
    const ours = world.runsc.runsc(['run', '--bundle', bundle, id], { global: ['--platform', platform] });
    expect(native.stdout).toContain('t1: tap pi multi_queue vnet_hdr persist');
    expect(ours.stdout).toBe(native.stdout);
    expect(native.stdout).toMatch(/end\n$/);
  });

  test.each(PLATFORMS.flatMap((platform) => ['tun', 'tap'].map((kind) => [platform, kind])))(
    'OpenVPN with Linux at the other end, %s, %s',
    async (platform, kind) => {
      const [there, here] = ['10.9.0.1', '10.9.0.2'];
      const mask = '255.255.255.0';
      const linux = program(
        vpn(`${kind}`, there, kind === 'tun' ? here : mask, `--local ${PEER} --port 1194 --ifconfig-ipv6 fd99::1/64 fd99::2`),
      );
      const own = vpn(
        `${kind}`,
        here,
        kind === 'tun' ? there : mask,
        `--remote ${PEER} --port 1194 --nobind --ifconfig-ipv6 fd99::2/64 fd99::1`,
      )
        .join(' ')
        .replace(key, '/data/key');
      const script = `${own} >/tmp/log 2>&1 & python3 /data/echo_stream.py serve 5000 >/tmp/served & echo ready; sleep 1000`;
      const id = await world.startBundle(hostBundle(world, script, world.pod, files()), ['--platform', platform as string]);
      const server = program(['python3', STREAM, 'serve', '5000']);
      const connected = await eventually(
        () => spawnSync('ip', ['netns', 'exec', world.peer, 'ping', '-c1', '-W1', here]).status === 0,
        30_000,
      );
      expect([connected, connected ? '' : inside(id, 'cat /tmp/log; ip addr'), connected ? '' : linux.text()]).toEqual([true, '', '']);
      expect(inside(id, `ping -c3 -i0.1 ${there}`)).toContain('3 received');
      const dump = `tcpdump -Z root -l -n -i ${kind}0 -c 2 icmp 2>/tmp/said >/tmp/seen & while ! grep -q listening /tmp/said; do sleep 0.05; done
        ping -c1 ${there} >/dev/null; wait $!; cat /tmp/said /tmp/seen`;
      expect(inside(id, dump)).toMatch(
        new RegExp(`link-type ${kind === 'tun' ? 'RAW' : 'EN10MB'} .*\n[^]*IP ${here} > ${there}: ICMP echo request.*\n.*ICMP echo reply`),
      );
      // Both sides look first whether their address is anybody else's.
      const six = () => world.runsc.runsc(['exec', id, 'ping', '-6', '-c1', '-W1', 'fd99::1']).status === 0;
      expect(await eventually(six, 15_000)).toBe(true);
      expect(inside(id, `python3 /data/echo_stream.py ask ${there} 5000 ${BYTES}`)).toMatch(/ same$/m);
      expect(await eventually(() => server.text().includes(here))).toBe(true);
      expect(world.in(world.peer, `python3 ${STREAM} ask ${here} 5000 ${BYTES}`)).toMatch(/ same$/m);
      expect(inside(id, 'cat /tmp/served')).toContain(there);
      for (const { child } of [linux, server]) child.kill('SIGKILL');
      await world.stop(id);
    },
  );

  test.each(PLATFORMS)('a network behind a VPN reaches the world by MASQUERADE, %s', async (platform) => {
    const side = (local: string, remote: string, others: string): string =>
      vpn('tun', local, remote, others).join(' ').replace(key, '/data/key');
    const link = `ip addr add 10.8.0.1/24 dev va; within ip addr add 10.8.0.2/24 dev vb
      ${side('10.9.0.1', '10.9.0.2', '--local 10.8.0.1 --port 1194')} >/tmp/one 2>&1 &
      within ${side('10.9.0.2', '10.9.0.1', `--remote 10.8.0.1 --port 1194 --nobind --route ${PEER} 255.255.255.255`)} >/tmp/two 2>&1 &
      iptables-legacy -t nat -A POSTROUTING -s 10.9.0.0/24 -o eth0 -j MASQUERADE; until within ping -c1 -W1 ${PEER} >/dev/null; do sleep 0.1; done`;
    const id = await world.startBundle(hostBundle(world, behind(link), world.pod, files()), ['--platform', platform]);
    const server = program(['python3', STREAM, 'serve', '5000']);
    expect(await eventually(() => server.text().includes('listening\n'))).toBe(true);
    const ask = `nsenter -t $(cat /tmp/inner) -n python3 /data/echo_stream.py ask ${PEER} 5000 ${BYTES}`;
    expect(inside(id, ask)).toMatch(/ same$/m);
    expect(await eventually(() => server.text().includes(`${POD} `))).toBe(true);
    server.child.kill('SIGKILL');
    await world.stop(id);
  });
});
