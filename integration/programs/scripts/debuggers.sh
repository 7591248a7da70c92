# gdb on a small program, strace -f on another.
set -e
cd /tmp
cat >p.c <<'END'
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <sys/wait.h>
int square(int x) { return x * x; }
int main(void) { int s = 0; for (int i = 0; i < 4; i++) s += square(i); printf("%d\n", s); fflush(stdout); if (fork() == 0) { execl("/bin/true", "true", (char *)0); } int w; wait(&w); return WEXITSTATUS(w) + 3; }
END
gcc -g -O0 -fcf-protection=none p.c -o p
gdb -q -batch -nx -ex 'set disable-randomization off' -ex 'break square if x == 3' -ex run -ex bt -ex 'info args' -ex 'print x * 7' -ex finish -ex 'set can-use-hw-watchpoints 0' -ex 'watch s' -ex continue -ex 'info watchpoints' -ex kill ./p 2>&1 |
  grep -E '^(Breakpoint 1,|#[01]|x =|\$[0-9]|Run till|Value|Old value|New value|.*watchpoint +keep|.*reakpoint already hit)' | sed 's/0x[0-9a-f]*/ADDR/g'
# the processor's own breakpoints and watchpoints
gdb -q -batch -nx -ex 'set disable-randomization off' -ex 'break main' -ex run -ex 'hbreak square' -ex 'watch s if s > 4' -ex continue -ex 'delete 2' -ex continue -ex continue -ex 'info breakpoints' -ex kill ./p 2>&1 |
  grep -E '^(Breakpoint|Hardware|Old value|New value|[0-9] +(break|hw))|already hit' | sed 's/0x[0-9a-f]*/ADDR/g'
strace -ff -qq -o /tmp/trace -e trace=execve,exit_group -e signal=none ./p
cat $(ls -v /tmp/trace.*) | sed -E 's/0x[0-9a-f]+/ADDR/g; s/[0-9]+ vars/N vars/'
strace -c -o /tmp/counts ls / >/dev/null
grep -cE 'openat|execve|getdents64' /tmp/counts
