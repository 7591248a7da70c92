#!/usr/bin/env bash
# build.sh [OUT]: builds the images that the integration suites run, each once: a second call does nothing unless a recipe
# has changed. OUT is .cache/images by default. Needs root, Debian, busybox-static and debootstrap.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=${1:-${TSVISOR_CACHE:-$here/../../.cache}/images}
mkdir -p "$out"
out=$(cd "$out" && pwd)
exec 9>"$out/lock"
flock 9
for image in busybox debian programs network fuse pause; do
  sources=("$here/$image.sh" "$here/pack.sh")
  case $image in network | fuse) sources+=("$here/programs.sh" "$here/layer.sh" "$here/chroot_install.sh") ;; esac # layers over it
  [ "$image" != pause ] || sources+=("$here/../../native-addon/src/pause.c")
  key=$(cat "${sources[@]}" | sha256sum | cut -d' ' -f1)
  if [ "$(cat "$out/$image.key" 2>/dev/null)" = "$key" ] && [ -d "$out/$image-rootfs" ]; then continue; fi
  echo "building the $image image (once)" >&2
  "$here/$image.sh" "$out"
  echo "$key" >"$out/$image.key"
done
