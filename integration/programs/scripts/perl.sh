# fork, pipes, sockets, signals, files, sleep, times, glob, sprintf of Perl.
cat >/tmp/main.pl <<'END'
use strict; use warnings; use Socket; use POSIX qw(:sys_wait_h SIGALRM setsid); use Fcntl qw(:flock :seek); use File::Temp 'tempdir'; use Time::HiRes qw(alarm sleep ualarm);
$| = 1; my $d = tempdir(CLEANUP => 1);
my @kids = map { my $n = $_; my $pid = fork // die; exit $n unless $pid; $pid } 1 .. 20; my $sum = 0; for (@kids) { waitpid $_, 0; $sum += $? >> 8 } print "children $sum\n";
pipe my $r, my $w or die; if (!fork) { close $r; print $w "line $_\n" for 1 .. 1000; exit 0 } close $w; my @l = <$r>; wait; print "pipe ", scalar @l, "\n";
socketpair my $a, my $b, AF_UNIX, SOCK_STREAM, PF_UNSPEC or die; syswrite $a, "x" x 1000; sysread $b, my $buf, 2000; print "socketpair ", length $buf, "\n";
my $hits = 0; $SIG{ALRM} = sub { $hits++ }; ualarm 10000, 10000; my $end = time + 5; 1 while $hits < 5 && time < $end; ualarm 0; print "alarms ", $hits >= 5 ? "yes" : "no", "\n";
$SIG{CHLD} = sub { 1 while waitpid(-1, WNOHANG) > 0 }; system "true"; $SIG{CHLD} = 'DEFAULT';
open my $f, '+>', "$d/f" or die; flock $f, LOCK_EX or die; print $f "abc" x 1000; seek $f, 0, SEEK_SET; truncate $f, 10; local $/; print "file ", length(<$f>), "\n"; close $f;
symlink "f", "$d/l"; link "$d/f", "$d/h"; print "links ", readlink "$d/l", " ", (stat "$d/f")[3], "\n"; rename "$d/h", "$d/g"; my @names = sort map { s/.*\///r } glob "$d/*"; print "glob @names\n";
my $out = `sh -c 'echo out; echo err >&2; kill -9 \$\$' 2>/dev/null`; printf "backtick %s signal %d\n", $out =~ s/\n//r, $? & 127; my $t = exec_fails(); sub exec_fails { no warnings; exec '/nonexistent' or return $! + 0 } print "exec $t\n";
my $pid = open my $p, '-|', 'sh', '-c', 'read x; echo $x' or die; print "open3 ", defined <$p> ? "y" : "n", "\n" if 0; close $p; print "ppid ", getppid() > 0 ? 1 : 0, " pgrp ", getpgrp() > 0 ? 1 : 0, "\n"; chmod 0600, "$d/f"; printf "mode %o umask %o\n", (stat "$d/f")[2] & 07777, umask; print "done\n";
END
perl /tmp/main.pl </dev/null
