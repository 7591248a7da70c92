#!/usr/bin/env bash
# pause.sh OUT: OUT/pause.tar, the image of a pod's own container: one static program that waits.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=$1
bash "$here/../build-native.sh" >/dev/null
new=$out/pause-rootfs
rm -rf "$new"
mkdir -p "$new"
install -m 755 "$here/../../native-addon/build/Release/runsc-pause" "$new/pause"
touch -d @0 "$new/pause" "$new"
"$here/pack.sh" "$new" "$out/pause.tar" docker.io/library/pause:test /pause
