# python's http.server with urllib, asyncio streams and datagrams.
PORT=8081
serve() { cd "$WORK" && noise 3 4 >noise && exec python3 "$INTEROP/python_server.py" $PORT; }
ask() { exec python3 "$INTEROP/python_client.py" "$1" $PORT; }
