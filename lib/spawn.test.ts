import { closeSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { host } from './host.ts';
import { CLONE_NEWIPC, CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWUSER, CLONE_NEWUTS, SpawnError, spawn } from './spawn.ts';

const WAIT4 = 61;

/** Runs a shell command; what it printed and its wait status. */
function shell(command: string, extra: Partial<Parameters<typeof spawn>[0]> = {}): { output: string; status: number } {
  const dir = mkdtempSync(join(tmpdir(), 'spawn-'));
  const out = openSync(join(dir, 'out'), 'w+');
  const empty = openSync('/dev/null', 'r');
  try {
    const pid = spawn({ file: '/bin/sh', args: ['sh', '-c', command], env: ['A=b'], fds: [empty, out, out], namespaces: 0, ...extra });
    const status = new Int32Array(1);
    host.syscall(WAIT4, pid, status, 0, null);
    return { output: readFileSync(join(dir, 'out'), 'utf8'), status: status[0] as number };
  } finally {
    closeSync(out);
    closeSync(empty);
    rmSync(dir, { recursive: true });
  }
}

test('passes arguments, environment, descriptors and the exit status', () => {
  const { output, status } = shell('echo $A; ls /proc/self/fd | wc -l; exit 3');
  expect(output).toBe('b\n4\n'); // 0, 1, 2 and the folder that ls reads
  expect(status).toBe(3 << 8);
});

const root = process.getuid?.() === 0 ? test : test.skip;
root('starts with signals blocked, a limited bounding set and no_new_privs', () => {
  const { output } = shell("exec grep -E 'SigBlk|CapBnd|NoNewPrivs' /proc/self/status", {
    blockSignals: [17],
    boundingSet: [0, 33],
    noNewPrivileges: true,
  });
  expect(output.replaceAll('\t', ' ')).toMatch(/SigBlk: 0000000000010000\n(.*\n)*CapBnd: 0000000200000001\nNoNewPrivs: 1\n/);
});

root('starts as first process of new namespaces with the given maps', () => {
  const { output } = shell('echo $$; id -u; cat /proc/self/uid_map', {
    namespaces: CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS,
    maps: { uid: '0 0 1\n65534 65534 1\n', gid: '0 0 1\n65534 65534 1\n' },
  });
  expect(output.replaceAll(/ +/g, ' ')).toBe('1\n0\n 0 0 1\n 65534 65534 1\n');
});

test('joins its groups before it runs, or while it does', () => {
  for (const joinLate of [false, true]) {
    const pair = host.pipe(0);
    if (typeof pair === 'number') throw new Error('pipe');
    const [readEnd, writeEnd] = pair; // in the place of a cgroup.procs
    const { output, status } = shell('echo $$', { cgroupFds: [writeEnd], joinLate });
    expect(status).toBe(0);
    const bytes = new Uint8Array(16);
    expect(`${Buffer.from(bytes.buffer, 0, host.read(readEnd, bytes))}\n`).toBe(output);
    for (const fd of pair) host.close(fd);
  }
});

test('who cannot join is ended, also where it runs already', () => {
  const children = () =>
    readdirSync('/proc/self/task')
      .map((task) => readFileSync(`/proc/self/task/${task}/children`, 'latin1'))
      .join('');
  const before = children();
  const nothing = openSync('/dev/null', 'r');
  for (const joinLate of [false, true])
    expect(() => shell('sleep 100', { cgroupFds: [nothing], joinLate })).toThrow(/join the cgroup: errno 9/);
  closeSync(nothing);
  expect(children()).toBe(before);
});

test('says which step failed ', () => {
  expect(() => shell('true', { file: '/does/not/exist' })).toThrow(/cannot start \/does\/not\/exist: execute the program: errno 2/);
  expect(() => shell('true', { cwd: '/does/not/exist' })).toThrow(/change to the working directory: errno 2/);
  expect(() => shell('true', { fds: [9999] })).toThrow(SpawnError);
});
