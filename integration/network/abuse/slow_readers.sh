ask() { exec python3 "$INTEROP/slow_readers.py" "$1" $PORT "$COUNT"; }
