# Append-only file, save by fork, SIGKILL, the same data again.
set -e
cd /tmp
cli() { redis-cli -s /tmp/r.sock "$@"; }
start() {
  redis-server --port 0 --unixsocket /tmp/r.sock --appendonly yes --appendfsync always --dir /tmp --save '' --daemonize yes >/dev/null
  for _ in $(seq 200); do
    if [ "$(cli ping 2>&1)" = PONG ]; then return; fi
    sleep 0.05
  done
  exit 1
}
start
redis-benchmark -s /tmp/r.sock -n 2000 -r 1000 -t set,get,incr,lpush -q | wc -l
cli eval 'for i=1,5000 do redis.call("set","k"..i,i) end return redis.call("get","k4999")' 0
cli bgsave
until cli info persistence | grep -q rdb_bgsave_in_progress:0; do sleep 0.05; done
cli info persistence | grep rdb_last_bgsave_status
size=$(cli dbsize)
server=$(cli info server | sed -n 's/process_id:\([0-9]*\).*/\1/p')
kill -9 "$server"
while kill -0 "$server" 2>/dev/null; do sleep 0.05; done
start
[ "$size" = "$(cli dbsize)" ] && echo 'the same size'
cli get k4999
cli shutdown nosave || true
echo ended
