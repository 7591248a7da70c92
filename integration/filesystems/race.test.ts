/** A path never leaves its mount, whatever the host renames under it: directories are exchanged with links that lead out while a guest uses them. */
import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { compileGuest } from '../guest_program.ts';
import { eventually, missing, RUNSC } from '../runsc_bundle.ts';

const OUT = resolve(__dirname, '../../.cache/filesystems');
const PLATFORM = (process.env.TSVISOR_TEST_PLATFORMS ?? 'systrap').split(',')[0];
const MILLISECONDS = Number(process.env.TSVISOR_RACE ?? 3000);
const suite = missing().length === 0 ? describe : describe.skip;

const compile = (name: string): string => compileGuest(join(__dirname, `${name}.c`), join(OUT, name));
/** Names, contents, modes and times of a tree. */
function tree(path: string): string[] {
  return readdirSync(path, { recursive: true, encoding: 'utf8' })
    .sort()
    .map((name) => {
      const at = join(path, name);
      const { mode, mtimeNs, nlink } = statSync(at, { bigint: true });
      return `${name} ${mode.toString(8)} ${nlink} ${mtimeNs} ${mode & 0o100000n ? readFileSync(at, 'utf8') : ''}`;
    });
}

suite('races', () => {
  const folder = mkdtempSync(join(tmpdir(), 'race-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test.each([
    ['the gofer', []],
    ['directfs', ['--directfs']],
  ] as const)(
    '%s',
    async (_name, flags) => {
      const world = mkdtempSync(join(folder, 'world-'));
      const [volume, outside] = [join(world, 'volume'), join(world, 'outside')];
      for (const [root, text] of [
        [join(volume, 'a'), 'inside'],
        [outside, 'outside'],
      ] as const) {
        for (const path of ['b/c', 'away']) mkdirSync(join(root, path), { recursive: true });
        for (const path of ['file', 'b/c/file', 'away/file']) writeFileSync(join(root, path), text);
        for (const path of ['', 'b', 'b/c', 'away']) chmodSync(join(root, path), 0o777);
      }
      writeFileSync(join(outside, 'secret'), 'outside');
      // The guest that follows it looks in its own root, where nothing is; the host would find the folder beside the volume.
      symlinkSync('../outside', join(volume, 'link'));
      mkdirSync(join(volume, 'there'));
      const before = tree(outside);
      const swapper = spawn(compile('swap'), ['a', 'link', 'there', '../elsewhere'], { cwd: volume, stdio: ['ignore', 'pipe', 'inherit'] });
      let ready = '';
      swapper.stdout.on('data', (data) => (ready += data));
      expect(await eventually(() => ready !== '', 10_000)).toBe(true);
      try {
        const guest = [compile('race'), '/mnt', String(MILLISECONDS)];
        const said = execFileSync(RUNSC, [`--platform=${PLATFORM}`, ...flags, 'do', '-v', `${volume}:/mnt`, '--', ...guest], {
          encoding: 'latin1',
          timeout: MILLISECONDS + 60_000,
        });
        expect(said).toBe('raced\n');
        expect(swapper.exitCode).toBeNull();
      } finally {
        swapper.kill('SIGKILL');
      }
      expect(tree(outside)).toEqual(before);
    },
    MILLISECONDS + 90_000,
  );
});
