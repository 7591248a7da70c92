/** FUSE file systems of Debian, served and used in one container: each script of fuse/ gives the same output and status as under runc. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { lacking, once, PLATFORMS, runScript } from './programs_image.ts';

const FOLDER = join(__dirname, 'fuse');
const SECONDS = 120;
const NEEDS = { layer: 'fuse', capabilities: ['CAP_SYS_ADMIN'], fuse: true };

(lacking('fuse') === null ? describe : describe.skip).each(readdirSync(FOLDER))('%s', (name) => {
  const script = readFileSync(join(FOLDER, name), 'utf8');
  const native = once(() => runScript('runc', script, SECONDS, [], NEEDS));

  test.each(PLATFORMS)(
    'on %s as under runc',
    async (platform) => {
      const sandboxed = await runScript(platform, script, SECONDS, [], NEEDS);
      expect(sandboxed).toEqual(await native());
    },
    3 * SECONDS * 1000,
  );
});
