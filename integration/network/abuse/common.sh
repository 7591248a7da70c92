# Sourced before each abuse: `serve` is its victim, `ask ADDRESS` the abuser, which ends with what is left of the service.
set -euo pipefail
export LC_ALL=C.UTF-8
ulimit -n "$(ulimit -Hn)"
await() {
  for _ in $(seq 300); do
    if nc -z -w 2 "$1" "$2" 2>/dev/null; then return; fi
    sleep 0.1
  done
  echo "nothing listens at $1 port $2"
  exit 1
}
PORT=7000
serve() { exec python3 "$INTEROP/server.py" $PORT; }
