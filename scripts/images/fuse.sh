#!/usr/bin/env bash
# fuse.sh OUT: OUT/fuse-rootfs: a layer over the programs image with the file systems of integration/programs/fuse.
set -euo pipefail
"$(dirname "$0")/layer.sh" "$1" fuse fuse3 bindfs squashfuse squashfs-tools fuse-overlayfs mergerfs fuse-zip zip
