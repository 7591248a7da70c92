/** Every command and flag of runc's is known: it has an effect, has nothing to do here, or is refused with a reason. */
import { spawnSync } from 'node:child_process';
import { GLOBAL_FLAGS } from '../runsc/cli/context.ts';
import type { FlagTable } from '../runsc/cli/flags.ts';
import { COMMANDS } from '../runsc/commands/index.ts';
import { eventually, missing, RunscWorld } from './runsc_bundle.ts';

const help = (...args: string[]): string => spawnSync('runc', [...args, '--help'], { encoding: 'utf8' }).stdout ?? '';
/** "--bundle value, -b value  path …": bundle, b. */
const flagsIn = (text: string): string[] =>
  [...text.matchAll(/^ {3}(-[^ ].*)$/gm)].flatMap(([, line]) =>
    [...(line as string).split(/ {2,}/)[0]!.matchAll(/(?:^|, )--?([\w-]+)/g)].map((m) => m[1] as string),
  );
const knows = (table: FlagTable, name: string): boolean => Object.entries(table).some(([key, { alias }]) => key === name || alias === name);
const commandsIn = (text: string): string[] =>
  [...(/COMMANDS:\n([\s\S]*?)\n\n/.exec(text)?.[1] ?? '').matchAll(/^ {3}(\w+)/gm)]
    .map((m) => m[1] as string)
    .filter((name) => name !== 'help');

const suite = missing().length === 0 && help() !== '' ? describe : describe.skip;
suite('the command line of runc', () => {
  const own = ['help', 'h', 'version', 'v'];
  test('global flags and commands', () => {
    const names = commandsIn(help());
    expect(names.length).toBeGreaterThan(15);
    expect(names.filter((name) => COMMANDS[name] === undefined)).toEqual([]);
    expect(flagsIn(help()).filter((name) => !knows(GLOBAL_FLAGS, name) && !own.includes(name))).toEqual([]);
  });

  test.each(commandsIn(help()))('flags of %s', (name) => {
    const flags = flagsIn(help(name)).filter((flag) => !own.includes(flag));
    expect(flags.filter((flag) => !knows(COMMANDS[name]?.flags ?? {}, flag))).toEqual([]);
  });
});

(missing().length === 0 ? describe : describe.skip)('what is refused says why', () => {
  const world = new RunscWorld();
  let id: string;
  beforeAll(() => {
    id = world.newId();
    const bundle = world.bundle({ args: ['sleep', '1000'] });
    expect(world.runsc(['run', '--detach', '--bundle', bundle, id], { stdout: `${world.folder}/out` }).status).toBe(0);
  });
  afterAll(() => world.close());

  test.each([
    [['checkpoint', '--image-path', '/x', '--leave-running'], /checkpoint is not supported: the state of a sandbox cannot be saved/],
    [['restore', '--detach', '--bundle', '/x'], /restore is not supported/],
    [['update', '--blkio-weight', '100'], /no share of a disk/],
    [['update', '--cpu-rt-runtime', '100'], /real-time/],
    [['update', '--mem-bw-schema', 'MB:0=20'], /bandwidth/],
    [['update', '--memory', 'lots'], /no number of bytes/],
    [['exec', '--cgroup', 'sub'], /cannot be divided/],
  ])('%s', (args, reason) => {
    const r = world.runsc([...args, id, ...(args[0] === 'exec' ? ['true'] : [])]);
    expect(r.status).toBe(1);
    expect(r.stderr).toMatch(reason);
  });

  test('and what has no effect is taken', () => {
    expect(world.runsc(['update', '--blkio-weight', '0', '--memory', '512m', '--kernel-memory', '1g', id])).toMatchObject({
      status: 0,
      stderr: '',
    });
    expect(JSON.parse(world.runsc(['events', '--stats', id]).stdout).data.memory.usage.limit).toBe(512 << 20);
    expect(world.runsc(['exec', '--apparmor', 'p', '--process-label', 'l', id, 'echo', 'ran']).stdout).toBe('ran\n');
    expect(world.runsc(['checkpoint', 'no-such']).stderr).toContain('does not exist');
    expect(world.runsc(['list', '--format', 'yaml']).stderr).toContain('neither table nor json');
    expect(world.runsc(['ps', id, '--', '-o', 'pid']).stderr).toContain('options of ps(1)');
    expect(world.runsc(['ps', id, '--', '-ef']).stdout).toMatch(/^UID +PID/);
  });

  test('a limit of tasks holds from the moment that it is set', () => {
    const fork = ['exec', id, 'sh', '-c', 'sleep 0.1 & sleep 0.1 & wait; echo both'];
    expect(world.runsc(fork).stdout).toBe('both\n');
    expect(world.runsc(['update', '--pids-limit', '3', id]).status).toBe(0);
    expect(world.runsc(fork).stderr).toContain("can't fork");
    expect(world.runsc(['update', '--pids-limit', '-1', id]).status).toBe(0);
    expect(world.runsc(fork).stdout).toBe('both\n');
  });

  test('exec into a paused container, and with descriptors', async () => {
    world.runsc(['pause', id]);
    expect(world.runsc(['exec', id, 'true'])).toMatchObject({ status: 1, stderr: expect.stringContaining('paused') as string });
    // It waits with the others.
    expect(world.runsc(['exec', '--detach', '--ignore-paused', id, 'touch', '/made'], { stdout: `${world.folder}/out` }).status).toBe(0);
    world.runsc(['resume', id]);
    expect(await eventually(() => world.runsc(['exec', id, 'test', '-e', '/made']).status === 0)).toBe(true);
    const command = `exec 3<<<'of descriptor 3'; "$0" "$@"`;
    const r = spawnSync('bash', ['-c', command, ...world.commandLine(['exec', '--preserve-fds', '1', id, 'sh', '-c', 'cat <&3'])], {
      encoding: 'utf8',
    });
    expect(r).toMatchObject({ status: 0, stderr: '', stdout: 'of descriptor 3\n' });
  });
});
