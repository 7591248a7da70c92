#!/usr/bin/env bash
# Fetches gVisor's runsc of SUITE (default bookworm-backports) into DIRECTORY without touching what the system has installed: an
# apt configuration of its own, the mirror that the machine's own apt uses. Prints the path of the binary.
set -euo pipefail
dir=$(mkdir -p "${1:?usage: peers.sh DIRECTORY [SUITE]}" && cd "$1" && pwd)
suite=${2:-bookworm-backports}
binary=$dir/usr/bin/runsc
if [ -x "$binary" ]; then echo "$binary"; exit 0; fi
read -r url _ < <("$(dirname "$0")/../scripts/images/mirror.sh")
apt=$dir/apt
mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" "$apt/parts"
echo "deb $url $suite main" >"$apt/sources.list"
options=(-o Dir::Etc::SourceList="$apt/sources.list" -o Dir::Etc::SourceParts="$apt/parts" -o Dir::State::Lists="$apt/lists" -o Dir::Cache="$apt/cache")
apt-get "${options[@]}" update >"$apt/log" 2>&1
(cd "$apt" && apt-get "${options[@]}" download runsc >>"$apt/log" 2>&1)
dpkg -x "$apt"/runsc_*.deb "$dir"
echo "$binary"
