/** Packages of Debian on every kind of root: what dpkg and its maintainer scripts print and leave is as under runc. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ALL, lacking, once, PLATFORMS, runScript } from './programs_image.ts';

const SECONDS = 240;
const script = readFileSync(join(__dirname, 'packages/dpkg.sh'), 'utf8');

(lacking() === null ? describe : describe.skip)('dpkg', () => {
  const native = once(() => runScript('runc', script, SECONDS));

  const always = [
    ['an overlay in memory', []],
    ['a volume with --directfs', ['--overlay2=none', '--directfs']],
  ] as const;
  const sometimes = [
    ['an overlay on disk', ['--overlay2=root:self']],
    ['a volume', ['--overlay2=none']],
  ] as const;

  test.each([...always, ...(ALL ? sometimes : [])])(
    'on %s as under runc',
    async (_name, flags) => {
      const expected = await native();
      expect(expected).toMatchObject({ status: 0 });
      expect(await runScript(PLATFORMS[0] as string, script, SECONDS, flags)).toEqual(expected);
    },
    3 * SECONDS * 1000,
  );
});
