ask() { exec python3 "$INTEROP/idle.py" "$1" $PORT "$COUNT"; }
