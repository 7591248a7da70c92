#!/usr/bin/env bash
# layer.sh OUT NAME PACKAGE…: OUT/NAME-rootfs: a layer over the programs image (overlayfs, the upper folder) with more packages.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=$1 name=$2
shift 2
new=$out/$name-rootfs.new
rm -rf --one-file-system "$new" "$out/$name-work" "$out/$name-merged"
mkdir "$new" "$out/$name-work" "$out/$name-merged"
mount -t overlay overlay -o "lowerdir=$out/programs-rootfs,upperdir=$new,workdir=$out/$name-work" "$out/$name-merged"
trap 'umount "$out/$name-merged" 2>/dev/null || true; rm -rf --one-file-system "$out/$name-work"; rmdir "$out/$name-merged" 2>/dev/null || true' EXIT
"$here/chroot_install.sh" "$out/$name-merged" "$out/$name.log" "$@"
umount "$out/$name-merged"
rm -rf --one-file-system "$out/$name-rootfs"
mv "$new" "$out/$name-rootfs"
