#!/usr/bin/env bash
# chroot_install.sh ROOT LOG PACKAGE…: installs Debian packages in a root file system, as this machine's own apt would; no service is started.
set -euo pipefail
root=$1 log=$2
shift 2
trap 'umount "$root/proc" 2>/dev/null || true' EXIT
mount -t proc proc "$root/proc"
printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
chmod 755 "$root/usr/sbin/policy-rc.d"
cp /etc/resolv.conf "$root/etc/resolv.conf" 2>/dev/null || true
if [ -e /etc/apt/apt.conf ]; then cp /etc/apt/apt.conf "$root/etc/apt/apt.conf"; fi
for conf in /etc/apt/apt.conf.d/*proxy*; do [ -e "$conf" ] && cp "$conf" "$root/etc/apt/apt.conf.d/"; done
{
  chroot "$root" apt-get update -q &&
    DEBIAN_FRONTEND=noninteractive chroot "$root" apt-get install -y -q --no-install-recommends "$@"
} >"$log" 2>&1 || {
  tail -n 20 "$log" >&2
  exit 1
}
rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/* "$root/etc/resolv.conf" "$root/usr/sbin/policy-rc.d"
