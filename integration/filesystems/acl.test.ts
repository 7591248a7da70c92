/** POSIX ACLs that the host keeps, on volumes and in an image: shown, obeyed, changed and inherited as on the host itself. */
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { compileGuest } from '../guest_program.ts';
import { missing, RUNSC } from '../runsc_bundle.ts';

const OUT = resolve(__dirname, '../../.cache/filesystems');
const PLATFORM = (process.env.TSVISOR_TEST_PLATFORMS ?? 'systrap').split(',')[0];
const suite = missing().length === 0 ? describe : describe.skip;

suite('access control lists', () => {
  const scratch = mkdtempSync(join(tmpdir(), 'acl-'));
  afterAll(() => rmSync(scratch, { recursive: true, force: true }));
  let serial = 0;
  const folder = (): string => {
    const path = join(scratch, String(serial++));
    mkdirSync(path);
    return path;
  };
  const compile = (source: string): string => compileGuest(join(__dirname, `${source}.c`), join(OUT, basename(source)));
  const run = (command: string, args: readonly string[], cwd = '/'): string =>
    execFileSync(command, args, { encoding: 'latin1', timeout: 60_000, cwd });
  const inside = (flags: readonly string[], mounts: readonly string[], command: readonly string[]): string =>
    run(RUNSC, [`--platform=${PLATFORM}`, ...flags, 'do', ...mounts, '--', ...command]);

  test.each([
    ['a volume', [], true],
    ['a volume with --directfs', ['--directfs'], true],
    ['the image below the overlay', [], false],
    ['the image, --directfs', ['--directfs'], false],
  ] as const)('%s: what the host has set', (_name, flags, isVolume) => {
    const program = compile('lists');
    const [onHost, inSandbox] = [folder(), folder()];
    for (const path of [onHost, inSandbox]) run(program, ['set'], path);
    const expected = run(program, ['show'], onHost);
    expect(expected).toContain('7:9 opened opened opened EACCES');
    // The machine's root is below the overlay.
    const [mounts, at] = isVolume ? [['-v', `${inSandbox}:/mnt`], '/mnt'] : [[], inSandbox];
    expect(inside(flags, mounts, ['/bin/sh', '-c', `cd ${at} && ${program} show`])).toBe(expected);
    if (isVolume) expect(run(program, ['show'], inSandbox)).toBe(run(program, ['show'], onHost));
  });

  test.each([[[]], [['--directfs']]])('what the sandbox sets: %j', (flags) => {
    const program = compile('../conformance/acl');
    const volume = folder();
    copyFileSync(program, join(volume, 'program')); // it makes its files in /tmp
    expect(inside(flags, ['-v', `${volume}:/tmp`], ['/tmp/program'])).toBe(run(program, []));
  });
});
