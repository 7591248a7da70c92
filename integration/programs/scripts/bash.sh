# Builtins that lean on the kernel: job control, traps, coprocesses, redirections, process substitution, wait, ulimit, test.
cd /tmp
exec 2>&1
set -m
sleep 30 & job=$!
kill -STOP $job; until jobs -s | grep -q .; do sleep 0.05; done; jobs | sed 's/  */ /g'
kill -CONT $job; while jobs -s | grep -q .; do sleep 0.05; done; kill $job; wait $job 2>/dev/null; echo "wait $?"
set +m
trap 'echo trapped USR1' USR1; kill -USR1 $$; trap - USR1
(trap 'echo leaving' EXIT; exit 4); echo "subshell $?"
coproc cat; echo through >&"${COPROC[1]}"; read -r line <&"${COPROC[0]}"; echo "coproc $line"; exec {COPROC[1]}>&-; wait
diff <(printf 'a\nb\n') <(printf 'a\nc\n') | sed -n 2p
exec 7<>/tmp/rw; echo rw >&7; cat /tmp/rw; exec 7>&-
set -o noclobber; echo x >/tmp/rw 2>/dev/null || echo noclobber; set +o noclobber
read -r -t 0.1 x < <(sleep 1); echo "timeout $(( $? > 128 ))"
mkfifo f; (echo fifo >f &); cat f
ulimit -n 64; ulimit -n; for i in {1..80}; do eval "exec {fd}<>/tmp/rw" 2>/dev/null || { echo 'no more descriptors'; break; }; done
printf '%s\n' /usr/bin/bas[h] ~root; test -x /bin/sh -a -d / -a ! -e /nothing && echo test
pids=(); for i in {1..50}; do (exit $((i % 7))) & pids+=($!); done; n=0; for p in "${pids[@]}"; do wait "$p" || n=$((n + $?)); done; echo "sum $n"
(ulimit -f 1; trap '' XFSZ; head -c 5000 /dev/zero >/tmp/big 2>/dev/null; stat -c %s /tmp/big)
timeout 0.3 sleep 5; echo "timeout $?"; (bash -c "kill -SEGV \$\$"; exit $?) 2>/dev/null; echo "segv $?"
cd /proc/self && pwd -P | sed 's/[0-9][0-9]*/N/'; time -p true 2>/dev/null; echo "$BASH_SUBSHELL $SHLVL" | cut -d' ' -f1
