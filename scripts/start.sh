#!/usr/bin/env bash
# npm start [-- COMMAND…]: installs and builds what is missing, then runs COMMAND in the sandbox, on this machine's own files (read-only
# below, in memory above).
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
bash "$here/scripts/setup.sh"
export PATH="$here/node_modules/node/bin:$here/node_modules/.bin:$PATH"
(cd "$here" && node scripts/build.mjs)
if [ "$(id -u)" != 0 ]; then echo "npm start: the sandbox needs root for now: namespaces, cgroups; try sudo npm start" >&2; fi
if [ $# -eq 0 ]; then
  set -- sh -c 'echo "Hello from a kernel in TypeScript:"; uname -a; echo; echo "Its processes:"; ps -o pid,ppid,args 2>/dev/null || ps'
fi
exec "$here/bin/runsc" do -- "$@"
