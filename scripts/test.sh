#!/usr/bin/env bash
# npm test: installs, builds, sets up, then every check: types, format, unit tests, and where this machine can, the integration
# suites. Says aloud what did not run. The last line is "N passed, N failed".
set -uo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/node_modules/node/bin:$PWD/node_modules/.bin:$PATH"
results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT
failed_steps=()

step() { # NAME COMMAND…
  local name=$1
  shift
  echo "== $name"
  "$@" || { echo "== $name: FAILED"; failed_steps+=("$name"); return 1; }
}
jest_run() { # NAME ARGUMENTS…
  local name=$1
  shift
  step "$name" node_modules/node/bin/node node_modules/jest/bin/jest.js --json --outputFile="$results/$name.json" "$@"
}

step setup bash scripts/setup.sh --tests || exit 1
step build node scripts/build.mjs || exit 1
step types tsc --noEmit
step format biome check --diagnostic-level=error .
jest_run unit --selectProjects unit --maxWorkers=2

missing=$(node scripts/missing.mjs)
if ! { : <>/dev/kvm; } 2>/dev/null; then
  echo "== kvm: NOT RUN. This machine has no /dev/kvm that we may open; missing: platform_kvm, kvm_*, and every guest program on --platform=kvm"
fi
if [ -z "$missing" ]; then
  some=$(node scripts/missing.mjs --some)
  [ -z "$some" ] || echo "== integration: SKIPPED on this machine:
$some"
  jest_run integration --selectProjects integration --runInBand --forceExit
  # What the suites above do not do on every platform; npm run test:kvm has the rest.
  { : <>/dev/kvm; } 2>/dev/null &&
    TSVISOR_TEST_PLATFORMS=kvm jest_run kvm --selectProjects integration --runInBand --forceExit integration/runsc_lifecycle integration/containerd/lifecycle
else
  echo "== integration: NOT ALL RUN. This machine lacks: $missing"
  jest_run integration --selectProjects integration --runInBand integration/imports.test.ts
fi

step kvm-qemu bash scripts/kvm-qemu.sh

node scripts/sum-results.mjs "$results" "${failed_steps[@]}"
