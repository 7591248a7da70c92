# PostgreSQL over TCP; psql and pgbench.
PORT=5433
serve() {
  chown postgres "$WORK"
  mkdir -p /var/run/postgresql && chown postgres /var/run/postgresql
  su postgres -c "PATH=$PATH initdb -D $WORK/data -A trust --no-sync" >"$WORK/init.log" 2>&1 || { tail "$WORK/init.log"; return 1; }
  printf 'host all all 0.0.0.0/0 trust\nhost all all ::/0 trust\n' >>"$WORK/data/pg_hba.conf"
  exec su postgres -c "exec /usr/lib/postgresql/15/bin/postgres -D $WORK/data -p $PORT -c listen_addresses='*' -c fsync=off"
}
ask() {
  export PGHOST=$1 PGPORT=$PORT PGUSER=postgres PGOPTIONS='-c client_min_messages=warning'
  until psql -c 'select 1' >/dev/null 2>&1; do sleep 0.1; done
  psql -Atqc 'drop database if exists bench' -c 'create database bench'
  pgbench -q -i -s 1 bench >/dev/null 2>&1
  pgbench -n -c 4 -j 2 -t 50 bench 2>&1 | grep -E '(number of )?transactions .*processed|failed'
  pgbench -n -S -M prepared -C -c 2 -t 20 bench 2>&1 | grep -E 'transactions .*processed|failed'
  psql -Atc 'select count(*) from pgbench_history' bench
  seq 20000 | psql -Atqc 'create table t(n int)' -c 'copy t from stdin' -c 'select sum(n) from t' bench
  psql -Atc "select md5(string_agg(md5(n::text), '' order by n)) from t" bench
  (psql -Atqc 'listen news' -c 'select pg_sleep(0.2)' -c "notify news, 'hello'" bench) | grep -o 'notification "news".*"hello"'
}
