#!/usr/bin/env bash
# npm run install:system: puts runsc and containerd-shim-runsc-v1 into $PREFIX/bin (/usr/local), and what they need into
# $PREFIX/lib/tsvisor: afterwards this checkout can go. DESTDIR is put before every path that is written to.
set -euo pipefail
cd "$(dirname "$0")/.."
prefix=${PREFIX:-/usr/local}
library=$prefix/lib/tsvisor
target=${DESTDIR:-}$library

bash scripts/setup.sh
PATH="$PWD/node_modules/node/bin:$PATH" node scripts/build.mjs

# Beside the old one, then in its place: running sandboxes keep the files that they have open.
mkdir -p "$(dirname "$target")" "${DESTDIR:-}$prefix/bin"
new=$target.new
rm -rf "$new"
mkdir "$new"
find dist -maxdepth 1 -type f ! -name '.*' ! -name 'bench*' ! -name 'fuzz*' -exec cp -p {} "$new/" \;
install -m 755 node_modules/node/bin/node "$new/node"
# User names are looked up through koffi.
mkdir -p "$new/node_modules/@koromix"
cp -rp node_modules/koffi "$new/node_modules/"
cp -rp node_modules/@koromix/koffi-linux-x64 "$new/node_modules/@koromix/"
cp LICENSE "$new/" 2>/dev/null || true
rm -rf "$target.old"
[ ! -e "$target" ] || mv "$target" "$target.old"
mv "$new" "$target"
rm -rf "$target.old"

for program in runsc containerd-shim-runsc-v1; do
  launcher=${DESTDIR:-}$prefix/bin/$program
  printf '#!/bin/sh\nunset NODE_OPTIONS\nexec %s/node --no-warnings %s/%s.cjs "$@"\n' "$library" "$library" "$program" >"$launcher.new"
  chmod 755 "$launcher.new"
  mv "$launcher.new" "$launcher"
done

cat <<TEXT
Installed $prefix/bin/runsc and $prefix/bin/containerd-shim-runsc-v1.

With ctr, nothing is to be set up:
  ctr run --rm --runtime io.containerd.runsc.v1 docker.io/library/IMAGE:TAG NAME COMMAND

For Kubernetes (RuntimeClass with "handler: runsc"), in /etc/containerd/config.toml, containerd 1.6 and 1.7:
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runsc]
    runtime_type = "io.containerd.runsc.v1"
containerd 2.x:
  [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runsc]
    runtime_type = "io.containerd.runsc.v1"

For Docker, in /etc/docker/daemon.json:
  { "runtimes": { "runsc": { "path": "$prefix/bin/runsc" } } }
TEXT
