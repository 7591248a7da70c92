ask() { exec python3 "$INTEROP/syn_flood.py" "$1" $PORT "$COUNT"; }
