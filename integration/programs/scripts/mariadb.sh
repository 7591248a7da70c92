# Install, insert, SIGKILL of the server, recovery, shutdown.
set -e
mkdir -p /run/mysqld
chown mysql /run/mysqld
mariadb-install-db --user=mysql --datadir=/var/lib/my --auth-root-authentication-method=normal >/tmp/init.log 2>&1 || { tail /tmp/init.log; exit 1; }
sql() { mariadb -S /run/mysqld/s -e "$1"; }
start() {
  mariadbd --user=mysql --datadir=/var/lib/my --skip-networking --socket=/run/mysqld/s >>/tmp/my.log 2>&1 &
  server=$!
  for _ in $(seq 300); do
    if sql 'select 1' >/dev/null 2>&1; then return; fi
    sleep 0.1
  done
  tail /tmp/my.log
  exit 1
}
start
sql 'create database t; use t; create table a(id int primary key auto_increment, v varchar(100)) engine=innodb;
  insert into a(v) select seq from seq_1_to_2000; select count(*), sum(id) from a'
# bash tells of the death whenever it notices: here, and to nobody.
{
  kill -9 $server
  wait $server
} 2>/dev/null || echo "ended with $?"
start
sql 'select count(*), sum(id) from t.a; check table t.a'
mariadb-admin -S /run/mysqld/s shutdown
wait $server
echo "stopped with $?"
