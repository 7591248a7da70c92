# await ADDRESS PORT: until something listens there; at most half a minute. Sourced on both sides before what a test brings itself.
await() {
  for _ in $(seq 300); do
    if nc -z -w 2 "$1" "$2" 2>/dev/null; then return; fi
    sleep 0.1
  done
  echo "nothing listens at $1 port $2"
  exit 1
}
