#!/bin/bash
# Every program of coreutils at least once, with output that depends on nothing but the program.
# Each prints under its name with its exit status.
export LC_ALL=C TZ=UTC
cd "$(mktemp -d)" || exit 1
t() {
  local name=$1 out status
  shift
  out=$("$@" 2>&1)
  status=$?
  printf '%s [%s] %s\n' "$name" "$status" "$out"
}
p() { # NAME SCRIPT
  local out status
  out=$(bash -c "$2" 2>&1)
  status=$?
  printf '%s [%s] %s\n' "$1" "$status" "$out"
}
seq 1 20 >n
printf 'pear\napple\nfig\napple\n' >f
printf '\0\1\2hello\377' >b

p '[' '[ 1 -lt 2 ]'
t arch arch
t b2sum b2sum b
t base32 base32 b
t base64 base64 b
t basename basename /usr/lib/x.so .so
t basenc basenc --base16 b
t cat cat -A b
p chgrp 'touch g && chgrp 5 g && stat -c %g g'
p chmod 'touch m && chmod 4751 m && stat -c %a m; chmod u=rw,go= m && stat -c %A m'
p chown 'touch o && chown 12:34 o && stat -c %u:%g o'
p chroot 'chroot / echo in'
t cksum cksum n
p comm 'seq 3 5 | comm n - 2>/dev/null | tail -n 3'
p cp 'mkdir d && cp -a f d/ && cp -r d e && ls -R e && cp --sparse=always b c && cmp b c'
p csplit 'csplit -s n 5 12 && wc -l xx*'
t cut cut -c1-2 f
t date date -u -d @86400 '+%F %T %j %a'
p dd 'dd if=n of=dd bs=7 skip=1 count=2 2>&1 | head -n 2; od -c dd'
p df 'df --output=target / | tail -n 1'
p dir 'dir d'
p dircolors 'dircolors -b | head -c 20'
t dirname dirname /a/b/c
p du 'mkdir -p u/v && du -a --apparent-size -b u/v | wc -l'
t echo echo -n plain
p env 'env -i A=1 B=2 env'
t expand expand -t4 <(printf 'a\tb\n')
t expr expr 6 '*' 7
t factor factor 1234567890
t false false
t fmt fmt -w 20 <(echo one two three four five six)
t fold fold -w 3 f
t groups groups
t head head -n 2 n
p hostid 'hostid | wc -c'
t id id
p install 'install -m 700 -o 3 f i && stat -c %a:%u i'
p join 'join <(printf "1 a\n2 b\n") <(printf "1 x\n2 y\n")'
p link 'link f hard && stat -c %h f'
p ln 'ln -s f soft && readlink soft && ln -sf n soft && readlink soft'
p logname 'logname >/dev/null 2>&1; true'
p ls 'ls -1 -p --group-directories-first'
t md5sum md5sum n
p mkdir 'mkdir -m 750 -p q/r/s && stat -c %a q/r/s'
p mkfifo 'mkfifo -m 600 ff && (echo through >ff &) && cat ff && stat -c %F ff'
p mknod 'mknod null c 1 3 && stat -c "%F %t %T" null'
p mktemp 'mktemp -u XXXX | wc -c'
p mv 'cp f mv1 && mv mv1 mv2 && ls mv2 && mv -n mv2 f && ls mv2'
p nice 'nice -n 5 nice'
t nl nl f
p nohup 'nohup echo kept 2>/dev/null'
p nproc 'nproc | grep -c .'
t numfmt numfmt --to=iec 1048576
t od od -An -tx1 b
t paste paste -sd, n
t pathchk pathchk -p 'a:b'
p pinky 'pinky -f root 2>/dev/null | head -n 1; true'
t pr pr -t -3 n
p printenv 'X=y printenv X'
t printf printf '%05d|%-4s|%x\n' 42 ab 255
p ptx 'echo "a quick fox" | ptx -w 30'
t pwd pwd -P
p readlink 'readlink -f soft | xargs basename'
p realpath 'realpath --relative-to=/usr /usr/share/doc'
p rm 'touch r1 r2 && rm r1 && rm -rf r2 d e && ls r1 r2 2>&1 | wc -l'
p rmdir 'mkdir -p x/y && rmdir -p x/y && ls x 2>&1'
t seq seq -s, 0 0.5 2
for sum in sha1sum sha224sum sha256sum sha384sum sha512sum; do t $sum $sum n; done
p shred 'cp n sh && shred -n 1 -u sh && ls sh 2>&1'
p shuf 'shuf n | sort -n | cksum'
t sleep sleep 0.01
t sort sort -u f
p split 'split -l 8 n part. && wc -l part.*'
p stat 'stat -c "%n %s %F %h" f n'
p stdbuf 'echo x | stdbuf -oL cat'
p stty 'stty -a </dev/null 2>&1'
t sum sum n
p sync 'sync f && sync'
t tac tac f
t tail tail -c 5 n
p tee 'echo y | tee t1 t2 && cat t1 t2'
t test test -d /
p timeout 'timeout 0.1 sleep 5; echo $?'
p touch 'touch -d "2001-02-03 04:05:06 UTC" tt && stat -c "%y" tt'
p tr 'tr a-z A-Z <f'
t true true
p truncate 'truncate -s 10K tr && stat -c %s tr'
t tsort tsort <(printf 'a b\nb c\n')
p tty 'tty </dev/null'
p uname 'uname -s -m -o'
t unexpand unexpand -a <(printf '        a\n')
p uniq 'sort f | uniq -c'
p unlink 'touch ul && unlink ul && ls ul 2>&1'
p users 'users | wc -l'
p vdir 'vdir --time-style=+ f | cut -c1-10'
t wc wc n
p who 'who | wc -l'
t whoami whoami
p yes 'yes | head -n 3'
