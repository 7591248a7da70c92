# iperf3, both ways and both at once, TCP and UDP.
PORT=5201
serve() { exec iperf3 -s -p $PORT; }
ask() {
  local flags
  for flags in '-n 64M' '-n 64M -R' '-t 1 --bidir' '-n 32M -P 4' '-n 2M -u -b 50M' '-n 2M -u -b 50M -R'; do
    # The server may still be busy with the one before.
    # shellcheck disable=SC2086
    until iperf3 -c "$1" -p $PORT -J $flags >"$WORK/json"; do
      grep -q 'busy' "$WORK/json" || { tail -n 5 "$WORK/json"; return 1; }
      sleep 0.1
    done
    python3 - "$WORK/json" "$flags" <<'END'
import json, sys
end = json.load(open(sys.argv[1]))["end"]
moved = end.get("sum_received", end.get("sum"))["bytes"]
print(sys.argv[2], "moved" if moved > 1_000_000 else f"only {moved} bytes")
END
  done
}
