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

  test('ip monitor tells what changes; rules, tables and marks choose the way', () => {
    const script = `ip monitor all >/tmp/seen 2>&1 & while ! grep -q NEIGH /tmp/seen 2>/dev/null; do
        ip link add t0 type dummy; ip link set t0 up; ip neigh add 10.7.0.2 lladdr 02:00:00:00:00:02 dev t0; ip link del t0; sleep 0.1; done
      ip link add d0 type dummy; ip addr add 10.9.0.1/24 dev d0; ip link set d0 up; ip link add d1 type dummy; ip addr add 10.8.0.1/24 dev d1
      ip link set d1 up; ip route add default via 10.9.0.2; ip route add default via 10.8.0.2 table 100
      ip rule add fwmark 0x10/0xf0 table 100; ip rule add from 10.8.0.1 table 100 priority 50; ip rule add to 192.0.2.0/24 prohibit priority 40
      ip rule; ip route show table 100; ip route get 8.8.8.8; ip route get 8.8.8.8 mark 0x1f; ip route get 8.8.8.8 from 10.8.0.1
      ip route get 192.0.2.1 2>&1 || true; ip rule del priority 50; ip rule del fwmark 0x10/0xf0 table 100
      python3 -c 'import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.connect(("8.8.8.8", 53)); print("unmarked", s.getsockname()[0])'
      ip rule add fwmark 7 table 100; python3 -c 'import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.setsockopt(1, 36, 7); s.connect(("8.8.8.8", 53)); print("marked", s.getsockname()[0])'
      ip link del d0; while ! grep -q "Deleted.*d0: " /tmp/seen; do sleep 0.05; done; grep -v t0 /tmp/seen`;
    const out = run(platform, script, true);
    expect(out).toContain('40:\tfrom all to 192.0.2.0/24 prohibit\n50:\tfrom 10.8.0.1 lookup 100\n');
    expect(out).toContain('from all fwmark 0x10/0xf0 lookup 100');
    expect(out).toContain('default via 10.8.0.2 dev d1');
    expect(out).toMatch(/^8\.8\.8\.8 via 10\.9\.0\.2 dev d0 src 10\.9\.0\.1/m);
    expect(out).toMatch(/^8\.8\.8\.8 via 10\.8\.0\.2 dev d1/m);
    expect(out).toMatch(/^8\.8\.8\.8 from 10\.8\.0\.1 via 10\.8\.0\.2 dev d1/m);
    expect(out).toContain('Permission denied');
    expect(out).toContain('unmarked 10.9.0.1\nmarked 10.8.0.1');
    for (const told of [
      '[ADDR]',
      '[ROUTE]default via 10.9.0.2 dev d0',
      '[RULE]50:\tfrom 10.8.0.1 lookup 100',
      '[RULE]Deleted 50:',
      '[LINK]Deleted',
    ])
      expect(out).toContain(told);
  }, 70_000);

  test('ss shows who listens; a filter on a listener keeps a port to itself; events of the kernel are quiet', () => {
    const program = `import socket, struct, ctypes, subprocess, errno
s = socket.socket(); s.bind(("127.0.0.1", 8000)); s.listen(3)
u = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM); u.bind(("::", 5353))
print(subprocess.run(["ss", "-tulpn"], capture_output=True, text=True).stdout)
# A segment whose source port is 4000 is as good as lost.
code = b"".join(struct.pack("HBBI", *i) for i in [(0x28, 0, 0, 0), (0x15, 0, 1, 4000), (6, 0, 0, 0), (6, 0, 0, 0xffff)])
buffer = ctypes.create_string_buffer(code)
s.setsockopt(socket.SOL_SOCKET, 26, struct.pack("HxxxxxxQ", 4, ctypes.addressof(buffer)))
def dial(port):
    c = socket.socket(); c.bind(("127.0.0.1", port)); c.settimeout(0.5)
    try: c.connect(("127.0.0.1", 8000)); return "connected"
    except TimeoutError: return "lost"
print(dial(4000), dial(4001))
k = socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, 15); k.bind((0, 1)); k.setblocking(False)
try: k.recv(100)
except BlockingIOError: print("quiet")`;
    const out = run(platform, `python3 -c '${program}'`, false);
    expect(out).toMatch(/^udp +UNCONN +0 +0 +\*:5353 +\*:\* +users:\(\("python3",pid=\d+,fd=4\)\)/m);
    expect(out).toMatch(/^tcp +LISTEN +0 +3 +127\.0\.0\.1:8000 +0\.0\.0\.0:\* +users:\(\("python3",pid=\d+,fd=3\)\)/m);
    expect(out).toContain('lost connected\nquiet');
  }, 70_000);

  test('two namespaces meet over a veth pair', () => {
    const script = `unshare -n sh -c 'echo ready >/tmp/ready; while ! ip link show vb >/dev/null 2>&1; do sleep 0.05; done
        ip addr add 10.8.0.2/24 dev vb; ip link set vb up; echo up >/tmp/up; while [ ! -e /tmp/done ]; do sleep 0.05; done' &
      while [ ! -e /tmp/ready ]; do sleep 0.05; done
      ip link add va type veth peer name vb netns $!; ip addr add 10.8.0.1/24 dev va; ip link set va up
      while [ ! -e /tmp/up ]; do sleep 0.05; done
      ping -c2 -i0.2 10.8.0.2; ip -4 neigh; touch /tmp/done; wait; while ip link show va >/dev/null 2>&1; do sleep 0.05; done; echo va has gone`;
    const out = run(platform, script, true);
    expect(out).toContain('2 packets transmitted, 2 received, 0% packet loss');
    expect(out).toContain('va has gone');
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
    const script = `ip link set lo up; ip link add d0 type dummy; ip addr add 10.1.0.1/16 dev d0; ip link set d0 up
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

  test('ip6tables: REDIRECT and DNAT with the original destination, REJECT, what belongs to no connection', () => {
    const program = `import socket
l = socket.socket(socket.AF_INET6); l.bind(("::", 8080)); l.listen(7)
for to in ("fd10::7", "fd10::8"):
    c = socket.create_connection((to, 80), 5); s, _ = l.accept()
    print(c.getpeername()[0], s.getsockopt(41, 80, 28)[2:24].hex()); c.send(b"hi"); print(s.recv(9)); s.send(b"back"); print(c.recv(9))
try: socket.create_connection(("::1", 9999), 5)
except ConnectionRefusedError: print("refused")
u = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM); u.settimeout(5); u.connect(("::1", 9998)); u.send(b"x")
try: u.recv(9)
except ConnectionRefusedError: print("refused, too")`;
    const script = `ip link set lo up; ip link add d0 type dummy; ip addr add fd10::1/64 dev d0 nodad; ip link set d0 up
      ip6tables-legacy -t nat -A OUTPUT -p tcp -d fd10::7 --dport 80 -j REDIRECT --to-ports 8080
      ip6tables-legacy -t nat -A OUTPUT -p tcp -d fd10::8 --dport 80 -j DNAT --to-destination '[::1]:8080'
      ip6tables-legacy -t nat -A POSTROUTING -s fd99::/16 -j MASQUERADE; ip6tables-legacy -t nat -A POSTROUTING -s fd98::/16 -j SNAT --to-source fd10::1
      ip6tables-legacy -A INPUT -p tcp --dport 9999 -j REJECT --reject-with tcp-reset; ip6tables-legacy -A INPUT -p udp --dport 9998 -j REJECT
      ip6tables-legacy -A INPUT -m conntrack --ctstate INVALID -j DROP; ip6tables-legacy -A INPUT -p icmpv6 --icmpv6-type echo-request -j DROP
      python3 -c '${program}'; ping -6 -c1 -W1 ::1 | grep -o '[0-9] received'; ip6tables-legacy-save -c; iptables -L 2>&1 || true`;
    const out = run(platform, script, true);
    expect(out).toContain("fd10::7 005000000000fd100000000000000000000000000007\nb'hi'\nb'back'\n");
    expect(out).toContain("fd10::8 005000000000fd100000000000000000000000000008\nb'hi'\nb'back'\nrefused\nrefused, too\n0 received");
    expect(out).toMatch(/\[1:\d+\] -A INPUT -p ipv6-icmp -m icmp6 --icmpv6-type 128 -j DROP/);
    expect(out).toMatch(/\[1:\d+\] -A OUTPUT -d fd10::8\/128 -p tcp -m tcp --dport 80 -j DNAT --to-destination \[::1\]:8080/);
    expect(out).toContain('-A POSTROUTING -s fd98::/16 -j SNAT --to-source fd10::1');
    // Debian's default speaks nftables: it says that there is none.
    if (out.includes('nft')) expect(out).toContain('Failed to initialize nft: Protocol not supported');
  }, 70_000);
});
