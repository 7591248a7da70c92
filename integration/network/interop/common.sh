# Sourced before each pair of programs. `serve` starts the server and stays; `ask ADDRESS` is the client, and prints what must be the same
# wherever the two run. $PORT: the server's. Both have $WORK, a folder of their own.
set -euo pipefail
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/usr/lib/postgresql/15/bin LC_ALL=C.UTF-8 HOME=/root
WORK=$(mktemp -d)

# As it stands in a URL.
bracketed() { case $1 in *:*) echo "[$1]" ;; *) echo "$1" ;; esac; }
# The same bytes everywhere: SEED MIB.
noise() { python3 -c 'import random, sys; r = random.Random(int(sys.argv[1])); [sys.stdout.buffer.write(r.randbytes(1 << 20)) for _ in range(int(sys.argv[2]))]' "$1" "$2"; }
