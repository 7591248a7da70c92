/** What people do with Docker first, with this runtime as the daemon's own. */
import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { eventually } from '../containerd/containerd.ts';
import { Docker, missing } from './docker.ts';

const IMAGE = 'busybox:test';
const suite = missing().length === 0 ? describe : describe.skip;

suite('docker', () => {
  let docker: Docker;
  let serial = 0;
  beforeAll(async () => {
    docker = await Docker.start(['busybox.tar', 'pause.tar']);
  }, 120_000);
  afterAll(async () => {
    await docker?.stop();
  }, 120_000);

  const run = (flags: readonly string[], ...command: string[]) =>
    docker.run(['run', '--rm', '--network', 'none', ...flags, IMAGE, ...command]);
  const sh = (flags: readonly string[], script: string): string => {
    const r = run(flags, 'sh', '-c', script);
    expect(r).toMatchObject({ status: 0, stderr: '' });
    return r.stdout;
  };
  /** A container that runs until it is removed. */
  const detached = (flags: readonly string[] = [], script = 'trap "exit 7" TERM; while :; do sleep 0.1; done'): string => {
    const name = `test-${++serial}`;
    docker.must(['run', '-d', '--name', name, '--network', 'none', ...flags, IMAGE, 'sh', '-c', script]);
    return name;
  };
  const remove = (name: string): string => docker.must(['rm', '-f', name]);

  test('run: output, status, environment, working directory, user, a program that is not there', () => {
    expect(run([], 'sh', '-c', 'echo out; echo err >&2; exit 9')).toEqual({ status: 9, stdout: 'out\n', stderr: 'err\n' });
    expect(sh(['-e', 'COLOUR=blue', '-w', '/etc', '-u', '1000:1001', '-h', 'named'], 'echo $COLOUR; pwd; id -u; id -g; hostname')).toBe(
      'blue\n/etc\n1000\n1001\nnamed\n',
    );
    expect(run([], 'no-such-program').status).toBe(127);
    expect(run([], '/etc/passwd').status).toBe(126);
    expect(docker.run(['run', '--rm', '-i', '--network', 'none', IMAGE, 'cat'], { input: 'through stdin' }).stdout).toBe('through stdin');
  }, 90_000);

  test('an image of one static program', () => {
    const name = `static-${++serial}`;
    docker.must(['run', '-d', '--name', name, '--network', 'none', 'pause:test']);
    expect(docker.inspect(name, '{{.State.Running}}')).toBe('true');
    docker.must(['stop', name]);
    expect(docker.inspect(name, '{{.State.ExitCode}}')).toBe('0');
    remove(name);
  }, 60_000);

  test('an interface of /dev/net/tun, for who may have it', () => {
    const flags = ['--device', '/dev/net/tun'];
    const make = 'tunctl -t t0 >/dev/null && cat /sys/class/net/t0/tun_flags /sys/class/net/t0/owner; stat -c %t:%T /dev/net/tun';
    expect(sh([...flags, '--cap-add', 'NET_ADMIN'], make)).toBe('0x1802\n-1\na:c8\n');
    expect(run(flags, 'tunctl', '-t', 't0').stderr).toContain('Operation not permitted');
  }, 60_000);

  test('volumes, tmpfs, a read-only root', () => {
    const folder = join(docker.folder, 'volume');
    mkdirSync(folder);
    writeFileSync(join(folder, 'f'), 'of the host\n');
    expect(sh(['-v', `${folder}:/v`], 'cat /v/f; echo back >/v/g')).toBe('of the host\n');
    expect(readFileSync(join(folder, 'g'), 'utf8')).toBe('back\n');
    expect(run(['-v', `${folder}:/v:ro`], 'touch', '/v/x').status).toBe(1);
    sh(['-v', 'named:/v'], 'echo kept >/v/f');
    expect(sh(['-v', 'named:/v'], 'cat /v/f')).toBe('kept\n');
    expect(
      sh(
        ['--tmpfs', '/t:size=1m', '--read-only'],
        'touch /x 2>/dev/null || echo read-only; echo y >/t/y; cat /t/y; df /t | tail -n 1 | cut -d" " -f1',
      ),
    ).toBe('read-only\ny\ntmpfs\n');
  }, 90_000);

  test('limits reach the cgroup and are seen inside', () => {
    const name = detached(['--memory', '256m', '--cpus', '0.5', '--pids-limit', '50']);
    const id = docker.inspect(name, '{{.Id}}');
    const group = (file: string): string =>
      readFileSync(join('/sys/fs/cgroup', file.split('.')[0] as string, docker.cgroup, id, file), 'utf8').trim();
    expect(group('memory.limit_in_bytes')).toBe(String(256 << 20));
    expect(group('cpu.cfs_quota_us')).toBe('50000');
    expect(docker.must(['exec', name, 'sh', '-c', 'nproc; grep MemTotal /proc/meminfo | tr -s " " | cut -d" " -f2'])).toBe(
      `1\n${256 << 10}`,
    );
    expect(docker.must(['exec', name, 'cat', '/sys/fs/cgroup/pids.max'])).toBe('50');
    docker.must(['update', '--memory', '300m', '--memory-swap', '300m', name]);
    expect(group('memory.limit_in_bytes')).toBe(String(300 << 20));
    const stats = docker.must(['stats', '--no-stream', '--format', '{{.MemUsage}}', name]);
    expect(stats).toMatch(/^[1-9][\d.]*MiB \/ 300MiB$/);
    remove(name);
  }, 60_000);

  test('out of memory is told', async () => {
    const name = detached(['--memory', '128m', '--memory-swap', '128m'], 'head -c 400000000 /dev/zero | tail');
    expect(await eventually(() => docker.inspect(name, '{{.State.Running}}') === 'false', 30_000)).toBe(true);
    expect(docker.inspect(name, '{{.State.ExitCode}}')).not.toBe('0');
    remove(name);
  }, 60_000);

  test('exec, top, logs, attach, pause, kill', async () => {
    const name = detached([], 'echo first; echo second >&2; while read -r l; do echo "got $l"; done; sleep 1000');
    expect(docker.run(['exec', name, 'sh', '-c', 'echo in; exit 4'])).toMatchObject({ status: 4, stdout: 'in\n' });
    expect(docker.run(['exec', '-i', '-u', '7', '-e', 'A=b', name, 'sh', '-c', 'id -u; echo $A; cat'], { input: 'x' }).stdout).toBe(
      '7\nb\nx',
    );
    const missing = docker.run(['exec', name, 'no-such']);
    expect(missing.status).toBe(126); // this daemon's own, with every runtime
    expect(missing.stdout + missing.stderr).toContain('executable file not found');
    docker.must(['exec', '-d', name, 'touch', '/made']);
    expect(await eventually(() => docker.run(['exec', name, 'test', '-e', '/made']).status === 0)).toBe(true);
    expect(docker.must(['top', name])).toMatch(/runsc-sandbox|sandbox/);
    const logs = docker.run(['logs', name]);
    expect([logs.stdout, logs.stderr]).toEqual(['first\n', 'second\n']);
    docker.must(['pause', name]);
    expect(docker.inspect(name, '{{.State.Status}}')).toBe('paused');
    docker.must(['unpause', name]);
    docker.must(['kill', '-s', 'KILL', name]);
    expect(await eventually(() => docker.inspect(name, '{{.State.Status}} {{.State.ExitCode}}') === 'exited 137')).toBe(true);
    remove(name);
  }, 90_000);

  test('attach: input and output of a container that runs', async () => {
    const name = `attach-${++serial}`;
    docker.must([
      'run',
      '-d',
      '-i',
      '--name',
      name,
      '--network',
      'none',
      IMAGE,
      'sh',
      '-c',
      'while read -r l; do echo "got $l"; [ "$l" != end ] || exit 5; done',
    ]);
    const client = docker.spawn(['attach', name]);
    let output = '';
    client.stdout?.on('data', (chunk) => (output += chunk));
    const ended = new Promise<number | null>((r) => client.once('close', r));
    client.stdin?.write('one\n');
    expect(await eventually(() => output.includes('got one'))).toBe(true);
    client.stdin?.write('end\n');
    expect(await ended).toBe(5);
    remove(name);
  }, 60_000);

  test('a terminal: size, keys, job control', async () => {
    const [program, args] = docker.command([
      'run',
      '--rm',
      '-t',
      '-i',
      '--network',
      'none',
      IMAGE,
      'sh',
      '-c',
      'tty; until stty size | grep -q "31 77"; do sleep 0.1; done; echo sized; read -r l; read -r m; echo "<$m>"; exit 6',
    ]);
    const line = [program, ...args].map((w) => `'${w}'`).join(' ');
    const terminal = spawn('script', ['-qefc', `stty rows 31 cols 77; ${line}`, '/dev/null'], { stdio: ['pipe', 'pipe', 'inherit'] });
    let output = '';
    terminal.stdout.on('data', (chunk) => (output += chunk));
    const ended = new Promise<number | null>((r) => terminal.once('close', r));
    expect((await eventually(() => /sized/.test(output), 20_000)) || output).toBe(true);
    terminal.stdin.write('one\n');
    expect(await eventually(() => output.includes('one'))).toBe(true);
    terminal.stdin.write('two\n');
    expect(await ended).toBe(6);
    expect(output).toContain('/dev/pts/');
    expect(output).toContain('<two>');
  }, 60_000);

  test('cp in and out, diff, commit', () => {
    const name = detached();
    docker.run(['exec', name, 'test', '-e', '/copied']);
    writeFileSync(join(docker.folder, 'copied'), 'from outside\n');
    docker.must(['cp', join(docker.folder, 'copied'), `${name}:/copied`]);
    expect(docker.must(['exec', name, 'cat', '/copied'])).toBe('from outside');
    docker.must(['exec', name, 'sh', '-c', 'echo inside >/etc/made']);
    docker.must(['cp', `${name}:/etc/made`, join(docker.folder, 'made')]);
    expect(readFileSync(join(docker.folder, 'made'), 'utf8')).toBe('inside\n');
    expect(docker.must(['diff', name]).split('\n')).toContain('A /etc/made');
    docker.must(['commit', name, 'committed:test']);
    expect(docker.must(['run', '--rm', '--network', 'none', 'committed:test', 'cat', '/etc/made'])).toBe('inside');
    remove(name);
  }, 60_000);

  test('stop with a grace period, restart, restart policies, --init', async () => {
    const name = detached();
    docker.must(['stop', '-t', '10', name]);
    expect(docker.inspect(name, '{{.State.ExitCode}}')).toBe('7');
    docker.must(['restart', '-t', '1', name]);
    expect(docker.inspect(name, '{{.State.Running}}')).toBe('true');
    remove(name);
    const failing = detached(['--restart', 'on-failure:2'], 'exit 3');
    expect(await eventually(() => docker.inspect(failing, '{{.RestartCount}} {{.State.Status}}') === '2 exited', 30_000)).toBe(true);
    remove(failing);
    expect(sh(['--init'], 'head -n 1 /proc/1/comm')).toBe('docker-init\n');
  }, 90_000);

  test('health checks', async () => {
    const name = detached(['--health-cmd', 'test -e /healthy', '--health-interval', '0.3s', '--health-retries', '1']);
    expect(await eventually(() => docker.inspect(name, '{{.State.Health.Status}}') === 'unhealthy', 20_000)).toBe(true);
    docker.must(['exec', name, 'touch', '/healthy']);
    expect(await eventually(() => docker.inspect(name, '{{.State.Health.Status}}') === 'healthy', 20_000)).toBe(true);
    remove(name);
  }, 60_000);

  test('docker build: what one step writes the next one sees, and the image keeps it', () => {
    const folder = join(docker.folder, 'build');
    mkdirSync(folder);
    writeFileSync(join(folder, 'page'), 'of the context\n');
    writeFileSync(
      join(folder, 'Dockerfile'),
      `FROM ${IMAGE}\nCOPY page /page\nRUN cp /page /copy && chown 1000 /copy\nUSER 1000\nRUN test "$(stat -c %u /copy)" = 1000 && id -u >/tmp/who\nCMD cat /copy /tmp/who\n`,
    );
    docker.must(['build', '--network', 'none', '-t', 'built:test', folder], { timeoutMs: 90_000 });
    expect(docker.must(['run', '--rm', '--network', 'none', 'built:test'])).toBe('of the context\n1000');
  }, 120_000);

  test('a restarted daemon finds its containers', async () => {
    const name = detached(['--restart', 'no']);
    await docker.halt('SIGKILL');
    await docker.launch();
    expect(docker.inspect(name, '{{.State.Running}}')).toBe('true');
    expect(docker.must(['exec', name, 'echo', 'still here'])).toBe('still here');
    docker.must(['stop', '-t', '5', name]);
    expect(docker.inspect(name, '{{.State.ExitCode}}')).toBe('7');
    remove(name);
  }, 90_000);

  test('networks: bridge, names of a network of the user, published ports, the host', async () => {
    const gateway = '10.218.0.1';
    docker.must([
      'run',
      '-d',
      '--name',
      'web',
      '-p',
      '18080:80',
      IMAGE,
      'sh',
      '-c',
      'mkdir /www; echo page >/www/index.html; exec httpd -f -h /www',
    ]);
    const address = docker.inspect('web', '{{.NetworkSettings.IPAddress}}');
    const get = (url: string) => docker.outside(['busybox', 'wget', '-qO-', url]).stdout;
    expect(await eventually(() => get(`http://${address}/`) === 'page\n')).toBe(true);
    expect(get(`http://${gateway}:18080/`)).toBe('page\n');
    expect(docker.must(['run', '--rm', IMAGE, 'wget', '-qO-', `http://${address}/`])).toBe('page');
    docker.must(['network', 'create', '--subnet', '10.219.0.0/24', 'mine']);
    docker.must([
      'run',
      '-d',
      '--name',
      'named',
      '--network',
      'mine',
      IMAGE,
      'sh',
      '-c',
      'mkdir /www; echo by name >/www/index.html; exec httpd -f -h /www',
    ]);
    expect(
      await eventually(
        () => docker.run(['run', '--rm', '--network', 'mine', IMAGE, 'wget', '-qO-', 'http://named/']).stdout === 'by name\n',
      ),
    ).toBe(true);
    expect(docker.must(['run', '--rm', '--network', 'host', IMAGE, 'wget', '-qO-', `http://${address}/`])).toBe('page');
    for (const name of ['web', 'named']) remove(name);
    docker.must(['network', 'rm', 'mine']);
  }, 120_000);
});
