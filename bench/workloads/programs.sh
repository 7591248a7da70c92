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
find-usr) run() { find /usr -xdev >/dev/null; } ;;
npm-unpack)
	# What npm does with a package: unpack a compressed archive of many small files next to its place, then move it there.
	mkdir -p package/lib; i=0; while [ $i -lt 20 ]; do mkdir -p package/lib/m$i/dist; (cd package/lib/m$i; j=0; while [ $j -lt 100 ]; do printf '"use strict";\nexports.f%d = (x) => x + %d;\n' $j $j | tee $j.js >dist/$j.js; j=$((j + 1)); done); i=$((i + 1)); done
	tar czf package.tgz package && rm -rf package
	run() { rm -rf node_modules && mkdir -p node_modules/.package-x && tar xzf package.tgz -C node_modules/.package-x --strip-components=1 && mv node_modules/.package-x node_modules/package; } ;;
volume-write-1g) run() { dd if=/dev/zero of=/volume/big bs=1M count=1024 2>/dev/null; } ;;
volume-read-1g)
	[ -f /volume/big ] || dd if=/dev/zero of=/volume/big bs=1M count=1024 2>/dev/null
	run() { dd if=/volume/big of=/dev/null bs=1M 2>/dev/null; } ;;
redis-set-get)
	# 20,000 of each, 10 connections over a unix socket, server and client inside.
	export LD_LIBRARY_PATH=/bench/borrowed
	/bench/borrowed/redis-server --port 0 --unixsocket $work/redis.sock --save '' --daemonize no >/dev/null &
	server=$!
	while [ ! -S redis.sock ]; do sleep 0.05; done
	run() { /bench/borrowed/redis-benchmark -s $work/redis.sock -t set,get -n 20000 -c 10 -q >/dev/null; } ;;
*) echo "programs.sh: no workload $1" >&2; exit 2 ;;
esac
start=$(date +%s%N)
run
end=$(date +%s%N)
if [ -n "${server:-}" ]; then kill "$server"; wait "$server" || true; rm -f redis.sock; fi
echo "row $1 $(((end - start) / 1000000))"
