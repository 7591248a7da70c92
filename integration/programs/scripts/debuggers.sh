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
gdb -q -batch -nx -ex 'set disable-randomization off' -ex 'break square if x == 3' -ex run -ex bt -ex 'info args' -ex 'print x * 7' -ex finish -ex 'watch s' -ex continue -ex 'info watchpoints' -ex kill ./p 2>&1 |
  grep -E '^(Breakpoint 1,|#[01]|x =|\$[0-9]|Run till|Value|Old value|New value|.*hw watchpoint|.*reakpoint already hit)' | sed 's/0x[0-9a-f]*/ADDR/g'
strace -f -qq -e trace=execve,exit_group,wait4 -e signal=none ./p 2>&1 | sed -E 's/0x[0-9a-f]+/ADDR/g; s/\[pid +[0-9]+\] //; s/^[0-9]+ +//; s/wait4\(-1, .*/wait4/; s/<\.\.\. wait4.*/wait4 resumed/' | grep -E 'exec|exit_group' | sed 's/\/\* [0-9]* vars \*\//ENV/'
strace -c -o /tmp/counts ls / >/dev/null; grep -cE 'openat|execve|getdents64' /tmp/counts
