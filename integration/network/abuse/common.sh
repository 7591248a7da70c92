# Sourced before each abuse: `serve` is its victim, `ask ADDRESS` the abuser, which ends with what is left of the service.
set -euo pipefail
export LC_ALL=C.UTF-8
ulimit -n "$(ulimit -Hn)"
PORT=7000
serve() { exec python3 "$INTEROP/server.py" $PORT; }
