# iperf3, both ways and both at once, TCP and UDP.
PORT=5201
serve() { exec iperf3 -s -p $PORT; }
# Prints whether bytes moved (a busy machine loses most datagrams); fails if the server would not.
outcome() {
  python3 - "$WORK/json" "$1" <<'END'
import json, sys
told = json.load(open(sys.argv[1]))
total = told["end"].get("sum_received") or told["end"].get("sum")
if total is None:
    sys.exit(f"{sys.argv[2]}: {told.get('error')}")
print(sys.argv[2], "moved" if total["bytes"] > 100_000 else f"only {total['bytes']} bytes")
END
}
ask() {
  local flags
  for flags in '-n 64M' '-n 64M -R' '-t 1 --bidir' '-n 32M -P 4' '-n 2M -u -b 50M' '-n 2M -u -b 50M -R'; do
    # It serves one client at a time, and whoever knocked before counts as one.
    for _ in $(seq 50); do
      # shellcheck disable=SC2086
      iperf3 -c "$1" -p $PORT -J $flags >"$WORK/json" || true
      if outcome "$flags" 2>"$WORK/refused"; then continue 2; fi
      sleep 0.1
    done
    cat "$WORK/refused"
    return 1
  done
}
