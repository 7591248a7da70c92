# MariaDB over TCP.
PORT=3307
serve() {
  mkdir -p /run/mysqld && chown mysql "$WORK" /run/mysqld
  mariadb-install-db --user=mysql --datadir="$WORK/data" --auth-root-authentication-method=normal --skip-test-db >"$WORK/init.log" 2>&1 || { tail "$WORK/init.log"; return 1; }
  printf "create user 'net'@'%%' identified by 'secret';\ngrant all on *.* to 'net'@'%%';\n" >"$WORK/init.sql"
  exec mariadbd --user=mysql --datadir="$WORK/data" --socket="$WORK/sock" --port=$PORT --bind-address='*' --skip-name-resolve --init-file="$WORK/init.sql"
}
ask() {
  sql() { mariadb --protocol=tcp -h "$1" -P $PORT -u net -psecret -N -e "$2"; }
  until sql "$1" 'select 1' >/dev/null 2>&1; do sleep 0.1; done
  sql "$1" "drop database if exists t; create database t; use t; create table a(id int primary key auto_increment, v longblob) engine=innodb;
    insert into a(v) select repeat(seq, 100) from seq_1_to_2000; select count(*), sum(id), md5(group_concat(md5(v) order by id)) from a;
    insert into a(v) values (repeat('x', 4000000)); select md5(max(v)) from a"
  sql "$1" 'select v from t.a order by id' | sha256sum
  for _ in $(seq 20); do sql "$1" 'select count(*) from t.a'; done | uniq -c | tr -s ' '
}
