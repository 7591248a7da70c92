#!/usr/bin/env bash
# busybox.sh OUT: OUT/busybox-rootfs and OUT/busybox.tar from this machine's static busybox.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=$1
busybox=$(command -v busybox)
if ldd "$busybox" >/dev/null 2>&1; then echo "busybox.sh: $busybox is not static: install busybox-static" >&2; exit 1; fi
new=$out/busybox-rootfs.new
rm -rf "$new"
mkdir -p "$new"/{bin,sbin,usr/bin,usr/sbin,etc,root,home,tmp,proc,sys,dev,run,var/log,var/tmp}
chmod 1777 "$new/tmp" "$new/var/tmp"
chmod 700 "$new/root"
install -m 755 "$busybox" "$new/bin/busybox"
"$busybox" --list-full | while read -r applet; do
  [ "$applet" = bin/busybox ] || [ -z "$applet" ] || { mkdir -p "$new/$(dirname "$applet")" && ln -sf /bin/busybox "$new/$applet"; }
done
printf 'root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1:daemon:/usr/sbin:/bin/false\nnobody:x:65534:65534:nobody:/home:/bin/false\n' >"$new/etc/passwd"
printf 'root:x:0:\ndaemon:x:1:\ntty:x:5:\nnogroup:x:65534:\n' >"$new/etc/group"
printf 'NAME=busybox\n' >"$new/etc/os-release"
find "$new" -print0 | xargs -0 touch -h -d @0
rm -rf "$out/busybox-rootfs"
mv "$new" "$out/busybox-rootfs"
"$here/pack.sh" "$out/busybox-rootfs" "$out/busybox.tar" docker.io/library/busybox:test sh
