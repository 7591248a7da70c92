#!/usr/bin/env bash
# setup.sh [--tests]: installs what a build needs (npm packages) and, with --tests, what the integration suites need: Debian packages
# and images. Does nothing where everything is there. Never fails for a missing test program: test.sh says which suites that stops.
set -euo pipefail
cd "$(dirname "$0")/.."

# npm's own record of the last install is older than the lock file: install again.
if [ ! -e node_modules/.package-lock.json ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
  if [ ! -L node_modules ]; then
    echo "setup: npm ci"
    npm ci --no-audit --no-fund --loglevel=error
    touch node_modules/.package-lock.json
  fi
fi
[ "${1:-}" = --tests ] || exit 0

. /etc/os-release 2>/dev/null || ID=unknown
if [ "$(id -u)" != 0 ] || [ "$ID" != debian ]; then exit 0; fi

declare -A packages=([containerd]=containerd [runc]=runc [busybox]=busybox-static [debootstrap]=debootstrap [ip]=iproute2
  [script]=bsdutils [dockerd]=docker.io [kubectl]=kubernetes-client [iptables]=iptables [strace]=strace [python3]=python3 [sqlite3]=sqlite3 [git]=git [diodls]=diod)
wanted=()
packages+=([ping]=iputils-ping [traceroute]=traceroute [tcpdump]=tcpdump [ifconfig]=net-tools [bwrap]=bubblewrap [openvpn]=openvpn [mkfs.btrfs]=btrfs-progs)
for program in "${!packages[@]}"; do
  command -v "$program" >/dev/null 2>&1 || [ -x "/usr/sbin/$program" ] || wanted+=("${packages[$program]}")
done
[ -x /usr/lib/cni/bridge ] || wanted+=(containernetworking-plugins)
# A dynamic busybox cannot be an image.
if command -v busybox >/dev/null 2>&1 && ldd "$(command -v busybox)" >/dev/null 2>&1; then wanted+=(busybox-static); fi
if [ ${#wanted[@]} -gt 0 ]; then
  echo "setup: apt-get install ${wanted[*]}"
  export DEBIAN_FRONTEND=noninteractive
  log=$(mktemp)
  if ! { apt-get update -q && apt-get install -y -q --no-install-recommends "${wanted[@]}"; } >"$log" 2>&1; then
    echo "setup: apt-get failed; the suites that need ${wanted[*]} will not run:" >&2
    tail -n 5 "$log" >&2
  fi
  rm -f "$log"
fi
scripts/images/build.sh || echo "setup: the images could not be built; the suites that need them will not run" >&2
scripts/containerd-versions.sh || echo "setup: not every containerd could be fetched; the suites that need them will not run" >&2
