# nginx; curl and wrk.
PORT=8080
serve() {
  mkdir "$WORK/www"
  noise 1 8 >"$WORK/www/noise"
  head -c 12288 "$WORK/www/noise" >"$WORK/www/page"
  chmod -R a+rX "$WORK"
  cat >"$WORK/nginx.conf" <<END
worker_processes 2; daemon off; pid $WORK/pid; error_log stderr;
events { worker_connections 512; }
http { access_log off; sendfile on; tcp_nopush on; client_max_body_size 16m; client_body_temp_path $WORK/body; proxy_temp_path $WORK/proxy;
  fastcgi_temp_path $WORK/f; uwsgi_temp_path $WORK/u; scgi_temp_path $WORK/s; dav_methods off;
  server { listen $PORT reuseport; listen [::]:$PORT reuseport; root $WORK/www; location /small { return 200 "hello\n"; } } }
END
  exec nginx -c "$WORK/nginx.conf"
}
ask() {
  local url
  url=http://$(bracketed "$1"):$PORT
  curl -sS -D - -o "$WORK/got" "$url/page" | grep -E '^HTTP|^Content-Length' | tr -d '\r'
  curl -sS "$url/noise" | sha256sum
  curl -sS -r 1000000-3999999 "$url/noise" | sha256sum
  curl -sS "$url/small" "$url/small" "$url/small" -w '%{num_connects}\n'
  curl -sS --limit-rate 8M "$url/noise" | sha256sum
  wrk -t1 -c16 -d1s "$url/page" >"$WORK/wrk"
  if grep -E 'Socket errors|Non-2xx' "$WORK/wrk"; then return 1; fi
  grep -Eo 'requests in' "$WORK/wrk"
  wrk -t1 -c8 -d1s -H 'Connection: close' "$url/small" >"$WORK/wrk"
  if grep -E 'Non-2xx|connect [1-9]' "$WORK/wrk"; then return 1; fi
  grep -Eo 'requests in' "$WORK/wrk"
}
