#!/usr/bin/env bash
# network.sh OUT: OUT/network-rootfs: a layer over the programs image (overlayfs, the upper folder) with the servers and clients that
# integration/network lets talk to each other.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=$1
packages=(nginx-light wrk curl iperf3 openssh-server openssh-client iputils-ping iputils-tracepath traceroute bind9-dnsutils dnsmasq-base netcat-openbsd
  iproute2 iptables conntrack)
new=$out/network-rootfs.new
rm -rf --one-file-system "$new" "$out/network-work" "$out/network-merged"
mkdir "$new" "$out/network-work" "$out/network-merged"
mount -t overlay overlay -o "lowerdir=$out/programs-rootfs,upperdir=$new,workdir=$out/network-work" "$out/network-merged"
trap 'umount "$out/network-merged" 2>/dev/null || true; rm -rf --one-file-system "$out/network-work"; rmdir "$out/network-merged" 2>/dev/null || true' EXIT
"$here/chroot_install.sh" "$out/network-merged" "$out/network.log" "${packages[@]}"
umount "$out/network-merged"
rm -rf --one-file-system "$out/network-rootfs"
mv "$new" "$out/network-rootfs"
