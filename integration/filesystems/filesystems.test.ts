/**
 * Every kind of filesystem answers as Linux's do: the same programs run on the host's memory and disk first, and then in the sandbox on a tmpfs,
 * the root's overlay (in memory, on disk), a volume, and a volume with --directfs.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { compileGuest } from '../guest_program.ts';
import { missing, RUNSC } from '../runsc_bundle.ts';

const OUT = resolve(__dirname, '../../.cache/filesystems');
const PLATFORM = (process.env.TSVISOR_TEST_PLATFORMS ?? 'systrap').split(',')[0];
const suite = missing().length === 0 ? describe : describe.skip;

interface Place {
  readonly name: string;
  readonly flags: readonly string[];
  /** Flags of do; the folder that the program gets. */
  readonly mounts: readonly string[];
  readonly folder: string;
  /** No device nodes can be made or opened there. */
  readonly nodev: boolean;
  /** Set-id bits and file capabilities do not count there. */
  readonly nosuid?: boolean;
}

suite('filesystems', () => {
  const scratch = mkdtempSync(join(tmpdir(), 'filesystems-'));
  const memory = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'filesystems-'));
  afterAll(() => {
    for (const folder of [scratch, memory]) rmSync(folder, { recursive: true, force: true });
  });
  const volume = (name: string): string => {
    const folder = join(scratch, name);
    mkdirSync(folder);
    return folder;
  };
  const overlay = volume('below'); // the machine's root is below the overlay
  const places: Place[] = [
    { name: 'tmpfs', flags: [], mounts: ['--tmpfs', '/mnt'], folder: '/mnt', nodev: true, nosuid: true },
    { name: 'overlay', flags: [], mounts: [], folder: overlay, nodev: false },
    { name: 'overlay on disk', flags: ['--overlay2=root:self'], mounts: [], folder: overlay, nodev: false },
    { name: 'volume', flags: [], mounts: ['-v', `${volume('volume')}:/mnt`], folder: '/mnt', nodev: true },
    { name: 'directfs', flags: ['--directfs'], mounts: ['-v', `${volume('direct')}:/mnt`], folder: '/mnt', nodev: true },
  ];

  const compile = (name: string): string => compileGuest(join(__dirname, `${name}.c`), join(OUT, name));
  function output(command: string, args: readonly string[]): string {
    const r = spawnSync(command, args, { encoding: 'latin1', timeout: 240_000, input: '', maxBuffer: 64 << 20 });
    expect(r).toMatchObject({ status: 0, stderr: '' });
    return r.stdout;
  }
  /** Lines that are not alike, the host's first. */
  function compare(host: string, guest: string): void {
    const ours = guest.split('\n');
    const theirs = host.split('\n');
    expect(ours.length).toBe(theirs.length);
    expect(theirs.flatMap((line, i) => (line === ours[i] ? [] : [line, ours[i]])).slice(0, 20)).toEqual([]);
  }
  const inside = (place: Place, program: string, args: readonly string[]): string =>
    output(RUNSC, [`--platform=${PLATFORM}`, ...place.flags, 'do', ...place.mounts, '--', program, place.folder, ...args]);

  // Each place gets its own share of the cases; ALL=1 gives each all of them.
  const step = process.env.ALL === '1' ? 1 : 25;
  test.each(places.map((place, i) => [place.name, place, i] as const))(
    'calls and their errors: %s',
    (_name, place, i) => {
      const program = compile('calls');
      const args = [String(step), String(i), ...(place.nodev ? ['nodev'] : [])];
      compare(output(program, [memory, ...args]), inside(place, program, args));
    },
    500_000,
  );

  test.each(places.map((place) => [place.name, place] as const))(
    'set-id bits and file capabilities: %s',
    (_name, place) => {
      const program = compile('privileges');
      const args = place.nosuid === true ? ['nosuid'] : [];
      compare(output(program, [scratch, ...args]), inside(place, program, args));
    },
    60_000,
  );

  test.each(places.map((place, i) => [place.name, place, i] as const))(
    'random operations: %s',
    (_name, place, i) => {
      const program = compile('stress');
      for (const seed of [11 + i, 21 + i]) {
        const onDisk = output(program, [scratch, String(seed), '2000']);
        expect(output(program, [memory, String(seed), '2000'])).toBe(onDisk);
        compare(onDisk, inside(place, program, [String(seed), '2000']));
      }
    },
    120_000,
  );
});
