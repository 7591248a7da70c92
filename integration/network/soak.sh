#!/usr/bin/env bash
# soak.sh [MIB]: moves MIB (default 1024) MiB of random bytes into a sandbox and out of it over a veth pair, over IPv4 and IPv6, plain and (where the
# kernel has netem) with loss, delay and reordering, and compares checksums. Not part of the test run: it takes minutes. Needs root and a build.
set -euo pipefail
mib=${1:-1024}
root=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
pod=soakpod$$ peer=soakpeer$$
cleanup() {
  "$root/bin/runsc" --root "$work/state" kill soak KILL 2>/dev/null || true
  [ -z "${server:-}" ] || kill "$server" 2>/dev/null || true
  sleep 0.5
  "$root/bin/runsc" --root "$work/state" delete --force soak 2>/dev/null || true
  ip netns del "$pod" || true
  ip netns del "$peer" || true
  rm -rf "$work"
}
trap cleanup EXIT
ip netns add "$pod" && ip netns add "$peer"
ip link add v0 netns "$peer" type veth peer name eth0 netns "$pod"
ip -n "$peer" addr add 10.79.0.1/24 dev v0 && ip -n "$peer" addr add fd79::1/64 dev v0 nodad && ip -n "$peer" link set v0 up
ip -n "$pod" addr add 10.79.0.2/24 dev eth0 && ip -n "$pod" addr add fd79::2/64 dev eth0 nodad && ip -n "$pod" link set eth0 up
head -c "$((mib << 20))" /dev/urandom >"$work/data"
sum=$(sha256sum <"$work/data" | cut -d' ' -f1)
mkdir -p "$work/bundle/rootfs/bin" "$work/bundle/rootfs/www"
cp "$(command -v busybox)" "$work/bundle/rootfs/bin/"
ln "$work/data" "$work/bundle/rootfs/www/data"
cat >"$work/bundle/config.json" <<JSON
{"ociVersion":"1.0.2","root":{"path":"rootfs"},"hostname":"soak",
 "process":{"args":["/bin/busybox","httpd","-f","-p","80","-h","/www"],"cwd":"/","user":{"uid":0,"gid":0},"env":["PATH=/bin"],
  "capabilities":{"bounding":["CAP_NET_BIND_SERVICE"],"effective":["CAP_NET_BIND_SERVICE"],"permitted":["CAP_NET_BIND_SERVICE"]}},
 "linux":{"namespaces":[{"type":"pid"},{"type":"mount"},{"type":"ipc"},{"type":"uts"},{"type":"network","path":"/var/run/netns/$pod"}]}}
JSON
"$root/bin/runsc" --root "$work/state" run --bundle "$work/bundle" soak >"$work/log" 2>&1 &
ip netns exec "$peer" busybox httpd -f -p 8000 -h "$work" &
server=$!
until ip netns exec "$peer" busybox wget -q -O /dev/null -T 1 "http://10.79.0.2/missing" 2>&1 | grep -q . || ip netns exec "$peer" bash -c 'exec 3<>/dev/tcp/10.79.0.2/80' 2>/dev/null; do sleep 0.2; done
check() { # WHAT SUM
  [ "$2" = "$sum" ] || { echo "soak: $1: the bytes differ" >&2; exit 1; }
  echo "soak: $1: $mib MiB, the same bytes"
}
transfer() { # CONDITION
  for address in 10.79.0.2 '[fd79::2]'; do
    check "$1, out of the sandbox, $address" "$(ip netns exec "$peer" busybox wget -q -O - "http://$address/data" | sha256sum | cut -d' ' -f1)"
  done
  for address in 10.79.0.1 '[fd79::1]'; do
    check "$1, into the sandbox, $address" \
      "$("$root/bin/runsc" --root "$work/state" exec soak /bin/busybox sh -c "busybox wget -q -O - http://$address:8000/data | busybox sha256sum" | cut -d' ' -f1)"
  done
}
transfer plain
if tc -n "$peer" qdisc add dev v0 root netem delay 2ms 1ms loss 0.5% reorder 5% limit 20000 2>/dev/null; then
  transfer "loss, delay and reordering"
else
  # No netem: one packet of 200 is dropped, either way, by a classic BPF program.
  tc -n "$peer" qdisc add dev v0 clsact
  for way in ingress egress; do
    tc -n "$peer" filter add dev v0 $way bpf da bytecode '5,32 0 0 4294963256,148 0 0 200,21 0 1 0,6 0 0 2,6 0 0 4294967295,'
  done
  transfer loss
fi
