#!/usr/bin/env bash
# kvm-qemu.sh [1|0]: the KVM platform on a processor with hardware virtualisation, emulated: Debian's kernel and kvm-amd under qemu's TCG, once
# with nested paging and once with shadow paging (npt=0). Fetches packages into the cache; changes nothing on this machine.
set -euo pipefail
cd "$(dirname "$0")/.."
cache=${TSVISOR_CACHE:-$PWD/.cache}/qemu
root=$cache/root
mkdir -p "$cache/packages"

fetch() {
  [ -e "$cache/complete" ] && return 0
  local kernel
  kernel=$(apt-cache depends linux-image-cloud-amd64 | sed -n 's/.*Depends: \(linux-image-[0-9].*\)/\1/p' | head -n 1)
  mapfile -t names < <(apt-get -s install --no-install-recommends qemu-system-x86 | sed -n 's/^Inst \([^ ]*\).*/\1/p')
  names+=("$kernel" busybox-static)
  (cd "$cache/packages" && apt-get download -q "${names[@]}" >/dev/null) || return 1
  mkdir -p "$root"
  for package in "$cache"/packages/*.deb; do dpkg -x "$package" "$root" || return 1; done
  touch "$cache/complete"
}

# Library files that a program needs, by the loader's own list.
libraries() { ldd "$1" | sed -n 's/.*=> \(\/[^ ]*\).*/\1/p; s/^\s*\(\/lib64[^ ]*\).*/\1/p'; }

build_initramfs() {
  local tree=$cache/initramfs node=$PWD/node_modules/node/bin/node module
  rm -rf "$tree"
  mkdir -p "$tree"/{bin,dev,proc,sys,tmp,modules}
  cp "$root/bin/busybox" "$tree/bin/"
  cp -L "$node" "$tree/bin/node"
  for library in $(libraries "$node"); do install -D "$library" "$tree$library"; done
  for module in irqbypass kvm kvm-amd; do
    find "$root/lib/modules" -name "$module.ko*" -exec cp {} "$tree/modules/" \;
  done
  node_modules/.bin/esbuild integration/qemu/smoke.ts --bundle --platform=node --format=cjs --outfile="$tree/smoke.cjs" --log-level=error
  cp native-addon/build/Release/{tsvisor_native.node,ptrace_stub} "$tree/"
  cat >"$tree/init" <<'INIT'
#!/bin/busybox sh
busybox mount -t proc proc /proc
busybox mount -t sysfs sys /sys
busybox mount -t devtmpfs dev /dev
npt=$(busybox sed -n 's/.*smoke_npt=\([01]\).*/\1/p' /proc/cmdline)
for module in irqbypass kvm; do busybox insmod /modules/$module.ko || busybox insmod /modules/$module.ko.xz; done
busybox insmod /modules/kvm-amd.ko npt=$npt || busybox insmod /modules/kvm-amd.ko.xz npt=$npt
/bin/node /smoke.cjs
busybox poweroff -f
INIT
  chmod +x "$tree/init"
  (cd "$tree" && find . | "$root/bin/busybox" cpio -o -H newc 2>/dev/null) >"$cache/initramfs.cpio"
}

run() { # NPT
  local log=$cache/run-npt$1.log kernel
  kernel=$(echo "$root"/boot/vmlinuz-*)
  LD_LIBRARY_PATH=$root/usr/lib/x86_64-linux-gnu:$root/lib/x86_64-linux-gnu timeout 280 "$root/usr/bin/qemu-system-x86_64" \
    -L "$root/usr/share/qemu" -L "$root/usr/share/seabios" -accel tcg -machine q35 -cpu max -m 2048 -smp 2 -nographic -no-reboot -net none \
    -kernel "$kernel" -initrd "$cache/initramfs.cpio" -append "console=ttyS0 panic=-1 quiet smoke_npt=$1" </dev/null >"$log" 2>&1 || true
  grep -aE 'SMOKE|FAILED' "$log" | tr -d '\r' | sed "s/^/npt=$1: /" || true
  grep -aqE 'SMOKE .* passed, 0 failed' "$log" || { echo "npt=$1: FAILED; the end of $log:"; tail -n 30 "$log"; return 1; }
}

for need in apt-get apt-cache dpkg; do command -v "$need" >/dev/null || { echo "kvm-qemu: NOT RUN: this machine has no $need"; exit 0; }; done
bash scripts/build-native.sh
fetch || { echo "kvm-qemu: NOT RUN: the packages of qemu and a kernel cannot be fetched"; exit 0; }
build_initramfs
status=0
for npt in ${1:-1 0}; do run "$npt" || status=1; done
exit $status
