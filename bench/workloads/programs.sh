#!/bin/sh
# Whole programs. usage: programs.sh NAME; prepares what NAME needs (untimed), then prints "row NAME MILLISECONDS".
set -eu
work=/tmp/bench-programs
mkdir -p $work
cd $work
case $1 in
true-200) run() { i=0; while [ $i -lt 200 ]; do /bin/true; i=$((i + 1)); done; } ;;
python-pass) run() { python3 -c pass; } ;;
perl-1) run() { perl -e 1; } ;;
node-1) run() { node -e 1; } ;;
gcc-hello)
	printf '#include <stdio.h>\nint main(void){puts("hello");return 0;}\n' >hello.c
	run() { gcc hello.c -o hello && ./hello >/dev/null; } ;;
gcc-5000)
	i=0; while [ $i -lt 1000 ]; do printf 'int f%d(int x)\n{\n\tfor (int i = 0; i < x; i++) x ^= i * %d;\n\treturn x;\n}\n' $i $i; i=$((i + 1)); done >big.c
	run() { gcc -O2 -c big.c -o big.o; } ;;
find-share) run() { find /usr/share -xdev >/dev/null; } ;;
tar-doc) run() { tar cf /dev/null /usr/share/doc; } ;;
tar-10000)
	mkdir -p tree; i=0; while [ $i -lt 100 ]; do mkdir -p tree/$i; (cd tree/$i; j=0; while [ $j -lt 100 ]; do echo $i $j >$j; j=$((j + 1)); done); i=$((i + 1)); done
	run() { tar cf tree.tar tree && rm -rf copy && mkdir copy && tar xf tree.tar -C copy; } ;;
git-status)
	mkdir -p repo; cd repo; i=0; while [ $i -lt 50 ]; do mkdir -p d$i; (cd d$i; j=0; while [ $j -lt 100 ]; do echo $i $j >$j; j=$((j + 1)); done); i=$((i + 1)); done
	git init -q . && git -c user.name=b -c user.email=b@b add . && git -c user.name=b -c user.email=b@b commit -qm x
	run() { git status --short; } ;;
sqlite-100k)
	run() { rm -f t.db; { echo 'PRAGMA synchronous=OFF; CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT); BEGIN;'; i=0; while [ $i -lt 1000 ]; do echo "INSERT INTO t(b) SELECT 'row ' || value FROM (WITH RECURSIVE c(value) AS (SELECT 1 UNION ALL SELECT value+1 FROM c LIMIT 100) SELECT value FROM c);"; i=$((i + 1)); done; echo 'COMMIT; SELECT count(*) FROM t;'; } | sqlite3 t.db >/dev/null; } ;;
*) echo "programs.sh: no workload $1" >&2; exit 2 ;;
esac
start=$(date +%s%N)
run
end=$(date +%s%N)
echo "row $1 $(((end - start) / 1000000))"
