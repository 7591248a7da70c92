#!/bin/sh
# Inserts, transactions and queries, in rollback-journal and in WAL mode.
set -e
cd /tmp
for mode in delete wal; do
  sqlite3 $mode.db <<SQL
pragma journal_mode=$mode;
create table t(id integer primary key, name text);
begin;
with recursive n(i) as (select 1 union all select i+1 from n where i<2000) insert into t select i, 'name ' || i from n;
commit;
select count(*), sum(id), max(name) from t;
update t set name = upper(name) where id % 7 = 0;
select name from t where id in (7, 8);
begin; delete from t; rollback;
select count(*) from t;
pragma integrity_check;
SQL
done
for i in 1 2 3 4; do (for j in $(seq 20); do sqlite3 -cmd '.timeout 20000' wal.db "insert into t(name) values('w$i-$j')"; done) & done; wait
sqlite3 wal.db 'select count(*) from t'
