#!/usr/bin/env bash
# programs.sh OUT: OUT/programs-rootfs: the debian image with the servers, the runtimes and the test suites of others that
# integration/programs runs. A folder only: bundles take it as it is.
set -euo pipefail
out=$1
packages=(libpython3.11-testsuite python3-pip-whl openjdk-17-jdk-headless postgresql mariadb-server redis-server stress-ng gdb strace tcl golang-go rustc)
# As files in /opt/packages, for integration/programs/dpkg.test.ts to install.
files=(tree jq python3-six iputils-ping libcap2-bin cron nano sed)
new=$out/programs-rootfs.new
rm -rf --one-file-system "$new"
cp -a "$out/debian-rootfs" "$new"
log=$out/programs.log
trap 'umount "$new/proc" 2>/dev/null || true' EXIT
mount -t proc proc "$new/proc"
printf '#!/bin/sh\nexit 101\n' >"$new/usr/sbin/policy-rc.d"
chmod 755 "$new/usr/sbin/policy-rc.d"
cp /etc/resolv.conf "$new/etc/resolv.conf" 2>/dev/null || true
if [ -e /etc/apt/apt.conf ]; then cp /etc/apt/apt.conf "$new/etc/apt/apt.conf"; fi
for conf in /etc/apt/apt.conf.d/*proxy*; do [ -e "$conf" ] && cp "$conf" "$new/etc/apt/apt.conf.d/"; done
{
  chroot "$new" apt-get update -q &&
    DEBIAN_FRONTEND=noninteractive chroot "$new" apt-get install -y -q --no-install-recommends "${packages[@]}" &&
    rm -f "$new"/var/cache/apt/archives/*.deb &&
    chroot "$new" apt-get install -y -q --no-install-recommends --download-only --reinstall "${files[@]}"
} >"$log" 2>&1 || {
  tail -n 20 "$log" >&2
  exit 1
}
mkdir "$new/opt/packages"
mv "$new"/var/cache/apt/archives/*.deb "$new/opt/packages/"
rm -rf "$new"/var/lib/apt/lists/* "$new/etc/resolv.conf" "$new/usr/sbin/policy-rc.d"
umount "$new/proc"
rm -rf --one-file-system "$out/programs-rootfs"
mv "$new" "$out/programs-rootfs"
