/** ip6tables' MASQUERADE and SNAT with traffic: a network behind the sandbox talks to Linux, which sees the router's addresses alone. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { behind, hostBundle } from './host_programs.ts';
import { eventually, missing, NetWorld, PEER6, POD6 } from './net_world.ts';

const PLATFORMS = (process.env.TSVISOR_TEST_PLATFORMS ?? 'systrap,ptrace').split(',');
const PROGRAMS = ['python3', 'ip6tables-legacy', 'ping'];
const lacking = [...missing(), ...PROGRAMS.filter((p) => spawnSync('sh', ['-c', `PATH=$PATH:/usr/sbin command -v ${p}`]).status !== 0)];
const suite = lacking.length === 0 ? describe : describe.skip;
const STREAM = join(__dirname, 'echo_stream.py');
const BYTES = 1 << 20;
const OTHER6 = 'fd77::9';
const INNER6 = 'fd88::2';
const POSTROUTING = 'ip6tables-legacy -t nat -A POSTROUTING -s fd88::/64 -o eth0 -j';

suite('translated IPv6', () => {
  let world: NetWorld;
  beforeAll(() => {
    world = new NetWorld();
  });
  afterAll(() => world.close());
  jest.setTimeout(120_000);

  test.each(PLATFORMS)('MASQUERADE, then SNAT, %s', async (platform) => {
    const link = `ip addr add fd88::1/64 dev va nodad; within ip addr add ${INNER6}/64 dev vb nodad; within ip -6 route add default via fd88::1
      ip addr add ${OTHER6}/64 dev eth0 nodad; ${POSTROUTING} MASQUERADE`;
    const files = { 'echo_stream.py': readFileSync(STREAM) };
    const id = await world.startBundle(hostBundle(world, behind(link), world.pod, files), ['--platform', platform]);
    const within = (command: string): string => {
      const r = world.runsc.runsc(['exec', id, 'sh', '-c', `nsenter -t $(cat /tmp/inner) -n ${command}`]);
      return r.stdout + r.stderr;
    };
    const server = world.background(world.peer, ['python3', STREAM, 'serve', '5000']);
    let seen = '';
    server.stdout?.on('data', (part: Buffer) => (seen += part.toString()));
    expect(await eventually(() => seen.includes('listening\n'))).toBe(true);
    const ask = async (source: string): Promise<void> => {
      seen = '';
      expect(within(`ping -6 -c2 -i0.1 ${PEER6}`)).toContain(' 0% packet loss');
      expect(within(`python3 /data/echo_stream.py ask ${PEER6} 5000 ${BYTES}`)).toMatch(/ same$/m);
      expect(await eventually(() => seen.includes('\n'))).toBe(true);
      expect(seen.split(' ')[0]).toBe(source);
    };
    await ask(POD6);
    const change = `ip6tables-legacy -t nat -F POSTROUTING; ${POSTROUTING} SNAT --to-source ${OTHER6}`;
    expect(world.runsc.runsc(['exec', id, 'sh', '-c', change])).toMatchObject({ status: 0 });
    await ask(OTHER6);
    expect(world.runsc.runsc(['exec', id, 'ip6tables-legacy', '-t', 'nat', '-vnL', 'POSTROUTING']).stdout).toMatch(/[1-9]\d* +\d+ SNAT/);
    server.kill('SIGKILL');
    await world.stop(id);
  });
});
