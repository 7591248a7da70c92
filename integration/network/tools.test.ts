/** The tools of network administrators in the sandbox: over its loopback, and in a network namespace of its own. */
import { spawnSync } from 'node:child_process';
import { join, resolve } from 'node:path';

const RUNSC = join(resolve(__dirname, '../..'), 'bin/runsc');
const PLATFORMS = (process.env.TSVISOR_TEST_PLATFORMS ?? 'systrap,ptrace').split(',');
const TOOLS = ['ip', 'ss', 'ping', 'traceroute', 'tcpdump', 'iptables-legacy', 'ifconfig', 'python3'];
const lacking = TOOLS.filter((name) => spawnSync('sh', ['-c', `PATH=$PATH:/usr/sbin command -v ${name}`]).status !== 0);

/** What a shell script in the sandbox prints. `alone`: in a user and network namespace of its own, with all power over it. */
function run(platform: string, script: string, alone: boolean): string {
  const shell = ['sh', '-ec', `PATH=$PATH:/usr/sbin:/sbin; ${script}`];
  const command = alone ? ['unshare', '-rn', ...shell] : shell;
  const { stdout, stderr, status } = spawnSync(RUNSC, [`--platform=${platform}`, 'do', '--', ...command], {
    encoding: 'latin1',
    timeout: 60_000,
    input: '',
  });
  if (status !== 0) throw new Error(`status ${status}: ${stdout}${stderr}`);
  return stdout;
}

const suite = lacking.length > 0 ? describe.skip : describe;
suite.each(PLATFORMS)('on %s', (platform) => {
  test('ping and traceroute, both families', () => {
    const out = run(platform, 'ping -c2 -i0.2 127.0.0.1; ping -6 -c1 ::1; traceroute -n -q1 127.0.0.1; traceroute -6 -I -n -q1 ::1', false);
    expect(out).toContain('2 packets transmitted, 2 received, 0% packet loss');
    expect(out).toContain('1 packets transmitted, 1 received, 0% packet loss');
    expect(out).toMatch(/^ 1 {2}127\.0\.0\.1 {2}[\d.]+ ms/m);
    expect(out).toMatch(/^ 1 {2}::1 {2}[\d.]+ ms/m);
  }, 70_000);

  test('tcpdump reads its ring of the loopback', () => {
    const script = `tcpdump -Z root -l -n -i lo -c 2 icmp >/tmp/seen 2>/tmp/said & while ! grep -q listening /tmp/said; do sleep 0.05; done
      ping -c1 127.0.0.1 >/dev/null; wait $!; cat /tmp/seen`;
    const out = run(platform, script, false);
    expect(out).toMatch(/IP 127\.0\.0\.1 > 127\.0\.0\.1: ICMP echo request, id \d+, seq 1, length 64\n.*ICMP echo reply/);
  }, 70_000);

  test('ip, ifconfig and route make and show a network of a namespace', () => {
    const script = `ip link add d0 type dummy; ip addr add 10.9.0.1/24 dev d0; ip link set d0 up mtu 1400; ip route add default via 10.9.0.2
      ip neigh add 10.9.0.2 lladdr 02:00:00:00:00:01 dev d0; ip route; ip neigh; ifconfig d0; ip link add va type veth peer name vb
      ip -br link; ip link del va; ip rule; ip route get 8.8.8.8; ifconfig d0 10.9.1.1 netmask 255.255.255.0; ip -br addr show d0`;
    const out = run(platform, script, true);
    expect(out).toContain('10.9.0.0/24 dev d0 proto kernel scope link src 10.9.0.1');
    expect(out).toContain('default via 10.9.0.2 dev d0');
    expect(out).toContain('10.9.0.2 dev d0 lladdr 02:00:00:00:00:01 PERMANENT');
    expect(out).toMatch(/mtu 1400\n\s+inet 10\.9\.0\.1 {2}netmask 255\.255\.255\.0 {2}broadcast 10\.9\.0\.255/);
    expect(out).toMatch(/^va .*^vb /ms);
    expect(out).toContain('32766:\tfrom all lookup main');
    expect(out).toMatch(/^8\.8\.8\.8 via 10\.9\.0\.2 dev d0/m);
    expect(out).toMatch(/d0\s+\w+\s+10\.9\.1\.1\/24/);
  }, 70_000);

  test('two namespaces meet over a veth pair', () => {
    const script = `unshare -n sh -c 'echo ready >/tmp/ready; while ! ip link show vb >/dev/null 2>&1; do sleep 0.05; done
        ip addr add 10.8.0.2/24 dev vb; ip link set vb up; echo up >/tmp/up; while [ ! -e /tmp/done ]; do sleep 0.05; done' &
      while [ ! -e /tmp/ready ]; do sleep 0.05; done
      ip link add va type veth peer name vb netns $!; ip addr add 10.8.0.1/24 dev va; ip link set va up
      while [ ! -e /tmp/up ]; do sleep 0.05; done
      ping -c2 -i0.2 10.8.0.2; ip -4 neigh; touch /tmp/done; wait`;
    const out = run(platform, script, true);
    expect(out).toContain('2 packets transmitted, 2 received, 0% packet loss');
    expect(out).toMatch(/10\.8\.0\.2 dev va lladdr [0-9a-f:]{17} (REACHABLE|DELAY|STALE)/);
  }, 70_000);

  test('iptables: REDIRECT with the original destination, REJECT, counters; ss', () => {
    const program = `
import socket, subprocess
l = socket.socket(); l.bind(("0.0.0.0", 8080)); l.listen(7)
c = socket.create_connection(("10.1.2.3", 80), 5); s, _ = l.accept()
print(c.getpeername(), s.getsockopt(0, 80, 16)[2:8].hex())
c.send(b"hi"); print(s.recv(9)); s.send(b"back"); print(c.recv(9))
try: socket.create_connection(("127.0.0.1", 9999), 5)
except ConnectionRefusedError: print("refused")
print(subprocess.run(["ss", "-tln"], capture_output=True, text=True).stdout)`;
    const script = `ip link add d0 type dummy; ip addr add 10.1.0.1/16 dev d0; ip link set d0 up
      iptables-legacy -t nat -A OUTPUT -p tcp -d 10.1.2.3 --dport 80 -j REDIRECT --to-ports 8080
      iptables-legacy -A INPUT -p tcp --dport 9999 -j REJECT --reject-with tcp-reset
      iptables-legacy -A INPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT
      python3 -c '${program}'; iptables-legacy-save -c`;
    const out = run(platform, script, true);
    expect(out).toContain("('10.1.2.3', 80) 00500a010203");
    expect(out).toContain("b'hi'\nb'back'\nrefused");
    expect(out).toMatch(/LISTEN 0\s+7\s+0\.0\.0\.0:8080/);
    expect(out).toMatch(/\[1:\d+\] -A INPUT -p tcp -m tcp --dport 9999 -j REJECT --reject-with tcp-reset/);
    expect(out).toMatch(/\[1:\d+\] -A OUTPUT -d 10\.1\.2\.3\/32 -p tcp -m tcp --dport 80 -j REDIRECT --to-ports 8080/);
  }, 70_000);
});
