# Redis; redis-benchmark and redis-cli.
PORT=6379
serve() { exec redis-server --port $PORT --bind 0.0.0.0 '::' --protected-mode no --save '' --appendonly no --dir "$WORK"; }
ask() {
  cli() { redis-cli -h "$1" -p $PORT "${@:2}"; }
  redis-benchmark -h "$1" -p $PORT -n 3000 -c 20 -t set,get,lpush,lrange_100 -q | tr '\r' '\n' | grep -Eo '^[A-Z_0-9]+( \([^)]*\))*: [0-9.]+ requests' | sed 's/: .*//'
  redis-benchmark -h "$1" -p $PORT -n 20000 -c 20 -P 16 -t set -q | tr '\r' '\n' | grep -c 'requests per second'
  noise 2 1 >"$WORK/value"
  cli "$1" -x set blob <"$WORK/value"
  cli "$1" get blob | { head -c 1048576; cat >/dev/null; } | sha256sum # a line feed comes after it, for which nobody must have gone
  cli "$1" blpop queue 30 >"$WORK/popped" &
  until cli "$1" info clients | grep -q 'blocked_clients:1'; do sleep 0.05; done
  cli "$1" lpush queue 'to whom it concerns'
  wait $!
  cat "$WORK/popped"
}
