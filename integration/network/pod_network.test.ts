/** The pod's network against the host's Linux stack at the other end of a veth pair. */
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { eventually, missing, NetWorld, PEER, PEER6, POD, POD6, sh } from './net_world.ts';

const suite = missing().length === 0 ? describe : describe.skip;
const sum = (bytes: string | Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

suite('the pod network', () => {
  let world: NetWorld;
  beforeAll(() => {
    world = new NetWorld();
  });
  afterAll(() => world.close());
  jest.setTimeout(120_000);

  const fetchFile = (namespace: string, url: string): string =>
    sum(Buffer.from(sh(`ip netns exec ${namespace} busybox wget -q -O - ${url} | base64 -w0`), 'base64'));

  test('interfaces, addresses and routes are those of the namespace, and stay there', () => {
    const r = world.run('ip addr show dev eth0; ip route; ip -6 route; ip link show dev eth0; cat /proc/sys/net/ipv4/ip_forward');
    expect(r.stderr).toBe('');
    expect(r.stdout).toContain(`inet ${POD}/24`);
    expect(r.stdout).toContain(`inet6 ${POD6}/64`);
    expect(r.stdout).toContain(`default via ${PEER} dev eth0`);
    const mac = /link\/ether (\S+)/.exec(sh(`ip -n ${world.pod} link show eth0`))?.[1] as string;
    expect(r.stdout).toContain(mac);
    // CNI and Docker look at the namespace during and after: as it was.
    expect(sh(`ip -n ${world.pod} addr show eth0`)).toContain(`inet ${POD}/24`);
    expect(sh(`ip -n ${world.pod} rule`)).toMatch(/^0:\s+from all lookup local\n32766:/);
    expect(world.in(world.pod, 'cat /proc/sys/net/ipv4/ip_local_port_range').trim()).toBe('32768\t60999');
  });

  test.each(['systrap', 'ptrace'])('byte-exact both ways over IPv4 and IPv6, %s', async (platform) => {
    const file = randomBytes(8 << 20);
    const folder = world.runsc.folder;
    writeFileSync(join(folder, 'outside'), file);
    const server = world.background(world.peer, ['busybox', 'httpd', '-f', '-p', '8000', '-h', folder]);
    const urls = [`http://${PEER}:8000/outside`, `http://[${PEER6}]:8000/outside`];
    const script = `busybox httpd -p 80 -h /data; ${urls.map((u) => `until busybox wget -q -O - ${u} | busybox sha256sum; do sleep 0.1; done`).join('; ')}; echo ready; sleep 1000`;
    const id = await world.start(script, ['--platform', platform], { 'data/inside': file });
    expect(world.output(id).match(new RegExp(sum(file), 'g'))).toHaveLength(2);
    expect(fetchFile(world.peer, `http://${POD}/inside`)).toBe(sum(file));
    expect(fetchFile(world.peer, `http://[${POD6}]/inside`)).toBe(sum(file));
    // The host's own stack in the namespace says nothing: no reset, no second answer to a ping.
    const ping = world.in(world.peer, `busybox ping -c 3 -i 0.1 ${POD}`);
    expect(ping).toContain('3 packets received');
    expect(ping).not.toMatch(/duplicate|DUP/);
    expect(world.in(world.peer, `busybox ping -6 -c 2 -i 0.1 ${POD6}`)).toContain('2 packets received');
    server.kill();
    await world.stop(id);
  });

  test('an MTU that changes is followed; a smaller one on the way is found', async () => {
    const file = randomBytes(1 << 20);
    const id = await world.start('busybox httpd -p 80 -h /data; echo ready; sleep 1000', [], { 'data/inside': file });
    const mtuInside = () => world.runsc.runsc(['exec', id, 'busybox', 'cat', '/sys/class/net/eth0/mtu']).stdout.trim();
    for (const mtu of [1280, 9000, 1500]) {
      sh(`ip -n ${world.pod} link set eth0 mtu ${mtu}; ip -n ${world.peer} link set v0 mtu ${mtu}`);
      expect(await eventually(() => mtuInside() === String(mtu))).toBe(true);
      expect(fetchFile(world.peer, `http://${POD}/inside`)).toBe(sum(file));
      expect(world.in(world.peer, `busybox ping -c 1 -s 20000 ${POD}`)).toContain('1 packets received');
    }
    await world.stop(id);
  });

  test('addresses, routes and interfaces that come later, and those that go', async () => {
    const id = await world.start('busybox httpd -p 80 -h /data; echo ready; sleep 1000', [], { 'data/inside': 'x' });
    const inside = (command: string): string => world.runsc.runsc(['exec', id, 'busybox', 'sh', '-c', command]).stdout;
    sh(`ip -n ${world.pod} addr add 10.77.0.9/24 dev eth0; ip -n ${world.pod} route add 10.99.0.0/16 via ${PEER}`);
    expect(await eventually(() => inside('ip addr; ip route').includes('10.99.0.0/16 via'))).toBe(true);
    expect(fetchFile(world.peer, 'http://10.77.0.9/inside')).toBe(sum('x'));
    sh(`ip link add v1 netns ${world.peer} type veth peer name eth1 netns ${world.pod}`);
    sh(`ip -n ${world.peer} addr add 10.78.0.1/24 dev v1; ip -n ${world.peer} link set v1 up`);
    sh(`ip -n ${world.pod} addr add 10.78.0.2/24 dev eth1; ip -n ${world.pod} link set eth1 up`);
    expect(await eventually(() => inside('ip addr').includes('10.78.0.2/24'))).toBe(true);
    expect(fetchFile(world.peer, 'http://10.78.0.2/inside')).toBe(sum('x'));
    expect(inside('ip neigh')).toMatch(/10\.78\.0\.1 dev eth1 lladdr \S+/);
    sh(`ip -n ${world.pod} addr del 10.77.0.9/24 dev eth0; ip -n ${world.peer} link del v1`);
    expect(await eventually(() => !/10\.77\.0\.9|eth1/.test(inside('ip addr')))).toBe(true);
    // What the container changes is its own affair.
    inside('ip addr add 10.77.0.8/24 dev eth0; ip route add 10.98.0.0/16 via 10.77.0.1; ip link set lo mtu 1400');
    expect(inside('ip addr; ip route')).toMatch(/10\.77\.0\.8\/24[\s\S]*10\.98\.0\.0\/16 via/);
    expect(fetchFile(world.peer, 'http://10.77.0.8/inside')).toBe(sum('x'));
    expect(sh(`ip -n ${world.pod} addr`)).not.toContain('10.77.0.8');
    await world.stop(id);
  });

  test('localhost in the namespace, runsc port-forward and the counters', async () => {
    const id = await world.start('busybox httpd -p 80 -h /data; echo ready; sleep 1000', [], { 'data/inside': 'through the door' });
    const dial = (url: string): string => world.in(world.pod, `busybox wget -q -O - ${url}`);
    expect(await eventually(() => world.in(world.pod, 'cat /proc/net/tcp').includes('0100007F:0050'))).toBe(true);
    expect(dial('http://127.0.0.1/inside')).toBe('through the door');
    expect(await eventually(() => world.in(world.pod, 'cat /proc/net/tcp6').includes('01000000:0050'))).toBe(true);
    expect(dial('http://[::1]/inside')).toBe('through the door');
    const forward = world.background(world.peer, [
      join(__dirname, '../../bin/runsc'),
      '--root',
      world.runsc.state,
      'port-forward',
      id,
      '0:80',
    ]);
    let said = '';
    forward.stdout?.on('data', (d: Buffer) => {
      said += d;
    });
    expect(await eventually(() => said.includes('forwarding'), 10_000)).toBe(true);
    const port = /127\.0\.0\.1:(\d+)/.exec(said)?.[1];
    for (let i = 0; i < 3; i++)
      expect(world.in(world.peer, `busybox wget -q -O - http://127.0.0.1:${port}/inside`)).toBe('through the door');
    forward.kill('SIGTERM');
    const stats = JSON.parse(world.runsc.runsc(['events', '--stats', id]).stdout) as {
      data: { network_interfaces: { Name: string; TxPackets: number }[]; sockets: { tcp_listeners: number } };
    };
    expect(stats.data.sockets.tcp_listeners).toBe(1);
    expect(stats.data.network_interfaces.map((i) => i.Name)).toEqual(['lo', 'eth0']);
    await world.stop(id);
    expect(world.in(world.pod, 'cat /proc/net/tcp')).not.toMatch(/ 0100007F:0050 \S+ 0A /);
  });

  test("the container engine's name server at 127.0.0.11", async () => {
    const server = world.background(world.pod, [process.execPath, join(__dirname, 'name_server.cjs')]);
    let said = '';
    server.stdout?.on('data', (d: Buffer) => {
      said += d;
    });
    expect(await eventually(() => said.includes('ready'), 10_000)).toBe(true);
    const files = { 'etc/resolv.conf': 'nameserver 127.0.0.11\n' };
    const query = '\\0\\034\\022\\064\\001\\000\\000\\001\\000\\000\\000\\000\\000\\000\\001a\\001b\\000\\000\\001\\000\\001';
    const tcp = `printf '${query}' | busybox timeout 5 busybox nc 127.0.0.11 53 | busybox hexdump -e '1/1 "%d."'`;
    const r = world.run(`busybox nslookup db.example 127.0.0.11; busybox nslookup db.example 127.0.0.11; ${tcp}`, [], files);
    expect(r.stdout.match(/Address.*10\.77\.0\.1/g)).toHaveLength(2);
    expect(r.stdout).toContain('10.77.0.1.');
    server.kill();
  });

  test('an egress policy holds, tells why, and a capture shows what passed', async () => {
    world.background(world.peer, ['busybox', 'httpd', '-f', '-p', '8002', '-h', world.runsc.folder]);
    writeFileSync(join(world.runsc.folder, 'page'), 'allowed');
    const policy = join(world.runsc.folder, 'policy.json');
    const flags = [
      '--egress-policy',
      policy,
      '--egress-log',
      join(world.runsc.folder, 'log.jsonl'),
      '--pcap',
      join(world.runsc.folder, '%ID%.pcap'),
    ];
    writeFileSync(
      policy,
      JSON.stringify({ default: 'deny', rules: [{ action: 'allow', cidr: `${PEER}/32`, ports: [8002], protocol: 'tcp' }] }),
    );
    const script = `until busybox wget -q -O - http://${PEER}:8002/page; do sleep 0.1; done; busybox wget -O - http://${PEER}:8003/page; busybox nc -w 1 ${PEER} 8003; echo status $?`;
    const r = world.run(script, flags);
    expect(r.stdout).toContain('allowed');
    expect(r.stderr).toContain('Permission denied');
    const lines = readFileSync(join(world.runsc.folder, 'log.jsonl'), 'utf8')
      .trim()
      .split('\n')
      .map((l) => JSON.parse(l) as object);
    expect(lines[0]).toMatchObject({ action: 'allow', protocol: 'tcp', address: PEER, port: 8002, rule: 0 });
    expect(lines.at(-1)).toMatchObject({ action: 'deny', port: 8003, rule: null });
    const capture = sh(`ls ${world.runsc.folder}/*.pcap`).trim();
    const bytes = readFileSync(capture);
    expect(bytes.readUInt32LE(0)).toBe(0x0a0d0d0a);
    expect(bytes.includes('GET /page')).toBe(true);
    writeFileSync(policy, JSON.stringify({ default: 'deny', rules: [{ action: 'allow', prots: [1] }] }));
    const wrong = world.run('true', flags);
    expect(wrong.status).toBe(1);
    expect(wrong.stderr).toContain('rules[0]: unknown key prots');
    expect(existsSync(capture)).toBe(true);
  });

  test('none has lo alone, host has the sockets of the host', async () => {
    const none = world.run('ip -o addr; busybox wget -T 2 -O - http://10.77.0.1:8000/', ['--network', 'none']);
    expect(none.stdout).toMatch(/^1: lo/);
    expect(none.stdout).not.toContain('eth0');
    const file = randomBytes(4 << 20);
    const id = await world.start('busybox httpd -p 8080 -h /data; echo ready; sleep 1000', ['--network', 'host'], { 'data/inside': file });
    expect(world.in(world.pod, 'cat /proc/net/tcp6 /proc/net/tcp')).toContain(':1F90');
    expect(fetchFile(world.peer, `http://${POD}:8080/inside`)).toBe(sum(file));
    expect(world.runsc.runsc(['exec', id, 'busybox', 'ip', '-o', 'addr']).stdout).toContain(`inet ${POD}/24`);
    await world.stop(id);
  });

  test("runsc do: lo alone, the host's network, or a namespace by its path", () => {
    const ask = (...flags: string[]) => world.runsc.runsc(['do', ...flags, '--', 'busybox', 'ip', '-o', 'addr']);
    for (const flags of [[], ['--network=none'], ['--network=sandbox']]) {
      const { stdout } = ask(...flags);
      expect(stdout).toContain('inet 127.0.0.1/8');
      expect(stdout.split('\n').filter((line) => !/^1: lo|^$/.test(line))).toEqual([]);
    }
    expect(ask(`--network=/var/run/netns/${world.pod}`).stdout).toContain(`inet ${POD}/24`);
    const own = sh('busybox ip -o addr').match(/inet [\d.]+\/\d+/g) ?? [];
    for (const address of own) expect(ask('--network=host').stdout).toContain(address);
    expect(ask('--network=elsewhere').stderr).toContain('network');
  });
});
