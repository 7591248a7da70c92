#!/usr/bin/env bash
# kvm-qemu.sh [1|0]: the KVM platform on a processor with hardware virtualisation, emulated: Debian's kernel and kvm-amd under qemu's TCG, once
# with nested paging and once with shadow paging (npt=0). Fetches packages into the cache; changes nothing on this machine. A run takes 20 s on a
# quick processor. A slow one runs fewer random cases; a case that stands still is ended with what its threads were doing.
set -euo pipefail
cd "$(dirname "$0")/.."
cache=${TSVISOR_CACHE:-$PWD/.cache}/qemu
root=$cache/root
mkdir -p "$cache/packages"
# Seconds: of which random cases get what is left; that one case may take; that a run may take.
budget=120
patience=100
limit=600

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
export SMOKE_SECONDS=@budget@ SMOKE_CASE=/tmp/case
/bin/node /smoke.cjs &
smoke=$!
last= still=0
while [ -d /proc/$smoke/fd ] && [ $still -lt @patience@ ]; do
  busybox sleep 1
  now=$(busybox cat /tmp/case 2>/dev/null)
  if [ "$now" = "$last" ]; then still=$((still + 1)); else last=$now still=0; fi
done
if [ $still -ge @patience@ ]; then
  echo "FAILED: a hang: $still s without an end in: $last"
  for task in /proc/$smoke/task/*; do
    echo "THREAD $(busybox cat $task/comm) $(busybox sed -n 's/^State:\s*//p' $task/status) $(busybox cat $task/syscall $task/stack | busybox tr '\n' ' ')"
  done
fi
busybox poweroff -f
INIT
  sed -i "s/@budget@/$budget/; s/@patience@/$patience/" "$tree/init"
  chmod +x "$tree/init"
  (cd "$tree" && find . | "$root/bin/busybox" cpio -o -H newc 2>/dev/null) >"$cache/initramfs.cpio"
}

# What the machine has printed, without the firmware's control sequences.
printed() { sed 's/\r//g; s/\x1b\[[0-9;?=]*[A-Za-z]//g; s/\x1bc//g' "$1"; }

# Runs qemu until it ends, prints nothing more for longer than any case may take, or has had its time. Says which.
emulate() { # NPT LOG
  local log=$2 kernel size=0 now still=0
  kernel=$(echo "$root"/boot/vmlinuz-*)
  LD_LIBRARY_PATH=$root/usr/lib/x86_64-linux-gnu:$root/lib/x86_64-linux-gnu "$root/usr/bin/qemu-system-x86_64" \
    -L "$root/usr/share/qemu" -L "$root/usr/share/seabios" -accel tcg -machine q35 -cpu max -m 2048 -smp 2 -nographic -no-reboot -net none \
    -kernel "$kernel" -initrd "$cache/initramfs.cpio" -append "console=ttyS0 panic=-1 quiet smoke_npt=$1" </dev/null >"$log" 2>&1 &
  qemu=$!
  trap 'kill $qemu 2>/dev/null' EXIT
  for ((seconds = 0; ; seconds++)); do
    kill -0 $qemu 2>/dev/null || { trap - EXIT; wait $qemu && echo ended || echo "qemu failed with status $?"; return 0; }
    [ $seconds -lt $limit ] || { echo slow; break; }
    [ $still -lt $((patience + 30)) ] || { echo stuck; break; }
    sleep 1
    now=$(stat -c %s "$log")
    if [ "$now" = "$size" ]; then still=$((still + 1)); else size=$now still=0; fi
  done
  kill $qemu
  wait $qemu || true
}

run() { # NPT
  local log=$cache/run-npt$1.log end
  end=$(emulate "$1" "$log")
  if [ "$end" = stuck ]; then
    # Where a case hangs, the machine's own watch says so. It did not come to that: qemu's fault.
    echo "npt=$1: the emulated machine as a whole stood still at: $(printed "$log" | grep -a '^CASE' | tail -n 1); once more"
    end=$(emulate "$1" "$log")
  fi
  printed "$log" | grep -aE '^(SMOKE|FAILED|THREAD)' | sed "s/^/npt=$1: /" || true
  grep -aqE 'SMOKE .* passed, 0 failed' "$log" && return 0
  case $end in
    slow) echo "npt=$1: FAILED: not done after $limit s; it was at: $(printed "$log" | grep -a '^CASE' | tail -n 1)" ;;
    stuck) echo "npt=$1: FAILED: the emulated machine as a whole stood still at: $(printed "$log" | grep -a '^CASE' | tail -n 1)" ;;
    *) echo "npt=$1: FAILED ($end); the end of $log:"; printed "$log" | tail -n 30 ;;
  esac
  return 1
}

for need in apt-get apt-cache dpkg; do command -v "$need" >/dev/null || { echo "kvm-qemu: NOT RUN: this machine has no $need"; exit 0; }; done
bash scripts/build-native.sh
fetch || { echo "kvm-qemu: NOT RUN: the packages of qemu and a kernel cannot be fetched"; exit 0; }
build_initramfs
status=0
for npt in ${1:-1 0}; do run "$npt" || status=1; done
exit $status
