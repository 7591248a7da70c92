#!/bin/bash
# Job control of a script: background jobs, wait, signals, traps, coprocesses.
set -m
sleep 0.2 & a=$!
(exit 7) & b=$!
wait $b; echo "b ended with $?"
jobs %1 | sed 's/ \+/ /g'
wait $a; echo "a ended with $?"
sleep 100 & kill -TERM %%; wait $!; echo "killed: $?"
sleep 100 & c=$!; kill -STOP $c; sleep 0.1; jobs | grep -c -i stopped
kill -CONT $c; sleep 0.2; kill -INT $c; wait $c; echo "interrupted: $?"
trap 'echo got USR1' USR1
kill -USR1 $$
trap 'echo child ended' CHLD
(exit 0) & wait $!
trap - CHLD
coproc cat; echo through >&"${COPROC[1]}"; read -r line <&"${COPROC[0]}"; echo "coproc: $line"
eval "exec ${COPROC[1]}>&-"
wait
( trap 'echo term; exit 9' TERM; kill -TERM $BASHPID; sleep 5 ); echo "subshell: $?"
mkfifo /tmp/jobs.fifo; (sleep 0.1; echo late >/tmp/jobs.fifo) & read -r x </tmp/jobs.fifo; echo "$x"; wait
diff <(seq 3) <(seq 2 4)
cat <<< "here string" | { read -r y; echo "$y"; }
timeout -s KILL 0.1 sleep 3; echo "timeout: $?"
echo "${PIPESTATUS[@]}"; false | true | (exit 3); echo "${PIPESTATUS[@]}"
ulimit -n 256; ulimit -n
trap 'echo bye' EXIT
