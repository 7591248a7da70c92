# initdb, pgbench over a unix socket, SIGKILL of the server, recovery.
set -e
export PATH=$PATH:/usr/lib/postgresql/15/bin LC_ALL=C.UTF-8
mkdir -p /tmp/pg /var/run/postgresql
chown postgres /tmp/pg /var/run/postgresql
as() { su postgres -c "$1"; }
as "initdb -D /tmp/pg/data -A trust >/tmp/pg/init.log 2>&1" || { tail -20 /tmp/pg/init.log; exit 1; }
as "pg_ctl -D /tmp/pg/data -o '-c listen_addresses=' -l /tmp/pg/log -w start >/dev/null"
as "createdb bench; pgbench -q -i -s 1 bench >/dev/null 2>&1"
as "pgbench -n -c 4 -j 2 -t 200 bench 2>&1" | grep -E 'transactions'  | grep -v tps
as "psql -Atc 'select count(*) from pgbench_history' bench"
kill -9 "$(head -1 /tmp/pg/data/postmaster.pid)"
as "pg_ctl -D /tmp/pg/data -l /tmp/pg/log -w start >/dev/null 2>&1" || { tail -20 /tmp/pg/log; exit 1; }
as "psql -Atc 'select count(*), sum(delta) is not null from pgbench_history' bench"
grep -c 'database system was not properly shut down' /tmp/pg/log
as "pg_ctl -D /tmp/pg/data -m fast stop >/dev/null"
echo stopped
