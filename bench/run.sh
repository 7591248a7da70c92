#!/usr/bin/env bash
# npm run bench: builds everything, fetches the peer, runs. Arguments go to bench/main.ts.
set -euo pipefail
cd "$(dirname "$0")/.."
npm run --silent build
bench/peers.sh .cache/peers >/dev/null || echo "bench: gVisor's runsc could not be fetched; its column will be absent" >&2
if [ "${1:-}" = --network ]; then exec node_modules/node/bin/node dist/bench-network.cjs "$@"; fi
exec node_modules/node/bin/node dist/bench.cjs "$@"
