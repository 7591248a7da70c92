#!/usr/bin/env bash
# containerd-versions.sh [OUT]: Debian's other containerd packages, unpacked side by side without replacing this machine's own:
# OUT/1.7 from trixie, OUT/2 from sid (programs in usr/bin). Each once: a second call does nothing. OUT is .cache/containerd by default.
# apt works with lists, cache and sources of its own here; its mirror is the one that this machine's apt is set up with.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=${1:-${TSVISOR_CACHE:-$here/../.cache}/containerd}
mkdir -p "$out"
out=$(cd "$out" && pwd)
exec 9>"$out/lock"
flock 9

declare -A suites=([1.7]=trixie [2]=sid)
failed=0
for version in "${!suites[@]}"; do
  [ ! -x "$out/$version/usr/bin/containerd" ] || continue
  suite=${suites[$version]}
  work=$(mktemp -d "$out/apt.XXXXXX")
  mkdir -p "$work"/{lists/partial,cache/archives/partial,parts,new}
  keyring=/usr/share/keyrings/debian-archive-keyring.gpg
  read -r mirror _ < <("$here/images/mirror.sh") || { rm -rf "$work"; exit 1; }
  echo "deb ${keyring:+[signed-by=$keyring] }$mirror $suite main" >"$work/sources.list"
  cat >"$work/apt.conf" <<CONF
Dir::Etc::SourceList "$work/sources.list";
Dir::Etc::SourceParts "$work/parts";
Dir::State::Lists "$work/lists";
Dir::Cache "$work/cache";
Acquire::Languages "none";
APT::Sandbox::User "root";
CONF
  echo "fetching containerd $version (once)" >&2
  if (cd "$work" && export APT_CONFIG=$work/apt.conf && apt-get update -q && apt-get download -q "containerd/$suite") >"$work/log" 2>&1 &&
    dpkg -x "$work"/containerd_*.deb "$work/new" && "$work/new/usr/bin/containerd" --version >/dev/null; then
    rm -rf "${out:?}/$version"
    mv "$work/new" "$out/$version"
  else
    echo "containerd-versions.sh: containerd $version could not be fetched from $suite:" >&2
    tail -n 5 "$work/log" >&2
    failed=1
  fi
  rm -rf "$work"
done
exit $failed
