# Node's http: streams, kept connections, an upgrade.
PORT=8085
serve() { exec node "$INTEROP/node_server.cjs" $PORT; }
ask() { exec node "$INTEROP/node_client.cjs" "$1" $PORT; }
