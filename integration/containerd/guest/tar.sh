#!/bin/sh
# Archives of a real tree, there and back: names, modes, links, times and contents.
set -e
cd /tmp
mkdir src && cp -a /usr/share/perl5 /etc src/ 2>/dev/null || true
ln -s file src/link; ln src/etc/passwd src/hard; mkfifo src/fifo; touch -d @1000000000 src/old; chmod 2750 src/etc
sum() { (cd "$1" && find . -printf '%y %m %U:%G %s %l %p\n' | sed 's/^d \([0-9]*\) \([^ ]*\) [0-9]*/d \1 \2/' | LC_ALL=C sort | sha256sum; find . -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum); }
sum src >before
tar czf a.tar.gz src
gzip -t a.tar.gz && echo "gzip ok"
mkdir out && tar xzpf a.tar.gz -C out
sum out/src >after
cmp before after && echo "same tree"
tar cf - src | xz -0 | xz -d | tar tf - | wc -l
tar tzf a.tar.gz | wc -l
stat -c '%Y %h' out/src/old out/src/hard
cp -a src copy && diff -r --no-dereference src/etc copy/etc && echo "cp ok"
rm -rf src out copy && ls | LC_ALL=C sort
