#!/usr/bin/env bash
# debian.sh OUT: OUT/debian-rootfs and OUT/debian.tar: minbase and the languages that the suites run, from this machine's mirror.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=$1
packages=python3,perl,nodejs,gcc,libc6-dev,git,sqlite3,procps,psmisc,file,less,bc,make,xz-utils,bzip2,iproute2
read -r mirror suite < <("$here/mirror.sh")
new=$out/debian-rootfs.new
rm -rf --one-file-system "$new"
log=$out/debootstrap.log
debootstrap --variant=minbase --include="$packages" "$suite" "$new" "$mirror" >"$log" 2>&1 || {
  tail -n 20 "$log" "$new/debootstrap/debootstrap.log" >&2 2>/dev/null || true
  exit 1
}
rm -rf "$new"/var/cache/apt/archives/*.deb "$new"/var/lib/apt/lists/* "$new"/var/log/*.log "$new/etc/hostname" "$new/etc/resolv.conf"
rm -rf --one-file-system "$out/debian-rootfs"
mv "$new" "$out/debian-rootfs"
"$here/pack.sh" "$out/debian-rootfs" "$out/debian.tar" docker.io/library/debian:test bash
