/** The commands whose results must be the same in the sandbox as under runc. */
import { BUSYBOX, DEBIAN } from './containerd.ts';

export interface Command {
  readonly name: string;
  readonly image: string;
  readonly argv: readonly string[];
  readonly input?: string;
  /** Further flags of `ctr run`. */
  readonly flags?: readonly string[];
  /** Makes two runs comparable where times, pids or sizes differ by nature. */
  readonly normalise?: (output: string) => string;
}

const sh = (script: string): string[] => ['sh', '-c', script];
const bash = (script: string): string[] => ['bash', '-c', script];
/** A table's first line, blanks folded: what a program like top prints below it changes from run to run. */
const headOf =
  (pattern: RegExp) =>
  (output: string): string =>
    (output.split('\n').find((l) => pattern.test(l)) ?? output).replaceAll(/\s+/g, ' ').trim();

const busybox = (name: string, script: string, more: Partial<Command> = {}): Command => ({
  name,
  image: BUSYBOX,
  argv: sh(script),
  ...more,
});
const debian = (name: string, argv: readonly string[], more: Partial<Command> = {}): Command => ({ name, image: DEBIAN, argv, ...more });

export const COMMANDS: readonly Command[] = [
  busybox('echo', 'echo hello'),
  busybox('pipeline', 'seq 1 1000 | grep 7 | sort -rn | head -n 3 | tr "\\n" " "'),
  busybox('standard error', 'echo out; echo err >&2'),
  busybox('exit status', 'exit 42'),
  busybox('death by a signal', 'kill -9 $$'),
  busybox('death by SIGTERM', 'kill -TERM $$'),
  busybox('death by SIGSEGV', 'kill -SEGV $$'),
  busybox('child killed by a signal', 'sh -c "kill -9 \\$\\$"; echo $?'),
  busybox('command not found in a shell', 'no-such-command'),
  { name: 'command not executable', image: BUSYBOX, argv: sh('/etc/passwd') },
  busybox('environment', 'env | sort | grep -v HOSTNAME', { flags: ['--env', 'COLOUR=blue'] }),
  busybox('working directory', 'pwd; cd /tmp; pwd', { flags: ['--cwd', '/etc'] }),
  busybox('read-only root', 'touch /x; echo $?', { flags: ['--read-only'] }),
  busybox('stdin', 'cat | wc -c', { input: 'x'.repeat(100_000) }),
  busybox('stdin lines', 'while read -r l; do echo "<$l>"; done', { input: 'a\nb\nc\n' }),
  busybox('large output', 'yes 0123456789 | head -c 3000000'),
  busybox('bind mount', 'ls /suite | head -n 3; touch /suite/x; echo $?'),
  busybox('hostname and kernel', 'uname -s; uname -m; hostname'),
  busybox('files', 'mkdir -p /tmp/a/b; echo x >/tmp/a/b/c; ln -s c /tmp/a/b/d; cat /tmp/a/b/d; find /tmp/a | sort; rm -r /tmp/a; ls /tmp'),
  busybox('big file', 'dd if=/dev/zero of=/tmp/z bs=1M count=64 2>/dev/null; sha256sum /tmp/z; ls -l /tmp/z | cut -c1-10'),
  busybox('vi, awk, sed', "echo a b c | awk '{print $3, NF}'; echo hello | sed 's/l/L/g'"),
  busybox(
    'tar round trip',
    'tar c /etc /bin 2>/dev/null | tar t | sort | head -n 8; gzip -c /bin/busybox | gunzip | cmp - /bin/busybox && echo same',
  ),
  busybox('background jobs', 'sleep 0.1 & wait $!; echo $?; (exit 3) & wait $!; echo $?'),
  busybox('deep recursion', 'f() { [ $1 -eq 0 ] || f $(($1-1)); }; f 500; echo done'),
  busybox('many processes', 'for i in $(seq 100); do /bin/true; done; echo done'),
  busybox('ps', 'ps', { normalise: headOf(/PID/) }),
  busybox('devices', 'head -c 4 /dev/zero | od -An -tx1; echo x >/dev/null; head -c 8 /dev/urandom | wc -c; ls /dev/fd /dev/ptmx | wc -l'),
  debian('bash', bash('echo $BASH_VERSION; a=(1 2 3); echo $((a[1]**10))')),
  debian('bash scripts with job control', ['bash', '/suite/jobs.sh'], { normalise: (s) => s.replaceAll(/\d+ (?=Killed)/g, 'PID ') }),
  debian('every program of coreutils', ['bash', '/suite/coreutils.sh'], {
    normalise: (s) => s.replaceAll(/\/tmp\/tmp\.\w+/g, '/tmp/T'),
  }),
  debian('find / -xdev', sh('find / -xdev -not -path "/proc/*" | LC_ALL=C sort')),
  debian('ls -lR of /usr/lib', sh('ls -lRn --time-style=+%s /usr/lib | sha256sum; ls -lRn --time-style=+%s /etc')),
  debian('contents of /usr/bin', sh('cd /usr/bin && find . -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum')),
  debian('tar and gzip round trip', ['sh', '/suite/tar.sh']),
  debian('python3 -c', ['python3', '-c', 'import sys, math; print(sys.version_info[:2], math.pi, sorted("hello"))']),
  debian('python3: subprocess, threads, multiprocessing', ['python3', '/suite/python.py']),
  debian('python3: exception', ['python3', '-c', 'raise SystemExit(7)']),
  debian('perl', [
    'perl',
    '-MPOSIX',
    '-e',
    'my $p = fork // die; if (!$p) { exit 3 } waitpid $p, 0; printf "%d %s\\n", $? >> 8, join ",", map { $_ ** 2 } 1..5; print floor(3.7), "\\n"',
  ]),
  debian('node -e', ['node', '-e', 'console.log([1,2,3].map((x) => x * 2), process.version)']),
  debian('node: worker threads, child processes', ['node', '/suite/node.js']),
  debian('gcc hello.c && ./a.out', sh('cd /tmp && gcc -O1 -pthread /suite/hello.c -o a.out && ./a.out x y; echo $?')),
  debian('make -j2', sh('cd /tmp && make -j2 -f /suite/Makefile; make -f /suite/Makefile fails; echo $?')),
  debian('git: init, commit, log, clone', ['bash', '/suite/git.sh']),
  debian('sqlite3', ['sh', '/suite/sqlite.sh']),
  debian('dpkg -l', sh('dpkg -l | tail -n +6')),
  debian('dpkg --verify', sh('dpkg --verify coreutils bash; echo $?')),
  debian('apt-cache', sh('apt-config dump | grep -c ::; apt-get --version | head -n 1')),
  debian('ps', sh('ps -o pid,ppid,stat,comm | head -n 2'), { normalise: headOf(/PID/) }),
  debian('ps aux', ['ps', 'aux'], { normalise: headOf(/PID/) }),
  debian('top -b -n1', ['top', '-b', '-n1'], { normalise: headOf(/PID/) }),
  debian(
    'proc',
    sh(
      'cat /proc/self/comm; cut -d" " -f1 /proc/self/stat | grep -c .; readlink /proc/self/exe; ls /proc/self/fd | wc -l; head -n 1 /proc/meminfo | cut -d: -f1',
    ),
  ),
  debian('locale, time zone', sh('LC_ALL=C.UTF-8 printf "\\303\\244" | wc -m; TZ=Asia/Tokyo date -d @0 +%H')),
  debian('named pipes and here documents', bash('mkfifo /tmp/p; cat /tmp/p & echo x >/tmp/p; wait; cat <<E\nhere $((1+1))\nE')),
  debian('limits', bash('ulimit -n; ulimit -c; ulimit -s')),
  debian('umask and modes', sh('umask 027; touch /tmp/u; mkdir /tmp/v; stat -c %a /tmp/u /tmp/v')),
  debian('su to another user', sh('su -s /bin/sh nobody -c "id -un; cat /etc/shadow"')),
  debian('signals by name', bash('trap "echo int" INT; kill -INT $$; kill -l | head -c 30')),
  debian('perl: sockets', [
    'perl',
    '-MIO::Socket::UNIX',
    '-e',
    'my $s = IO::Socket::UNIX->new(Local => "/tmp/s", Listen => 1); if (!fork) { my $c = IO::Socket::UNIX->new(Peer => "/tmp/s"); print $c "hi\\n"; exit } my $c = $s->accept; print scalar <$c>; wait',
  ]),
  debian('xargs, parallel', sh('seq 20 | xargs -P4 -I{} sh -c "echo {}" | sort -n | tail -n 2')),
  debian('xz and bzip2', sh('seq 50000 | xz -T2 | xz -dc | bzip2 | bunzip2 | md5sum')),
];
