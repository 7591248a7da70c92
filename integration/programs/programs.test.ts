/** Servers, runtimes and tools of the Debian image: each script of scripts/ gives the same output and status as under runc. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { lacking, once, PLATFORMS, runScript } from './programs_image.ts';

const FOLDER = join(__dirname, 'scripts');
const SECONDS = 240;

(lacking() === null ? describe : describe.skip).each(readdirSync(FOLDER))('%s', (name) => {
  const script = readFileSync(join(FOLDER, name), 'utf8');
  const native = once(() => runScript('runc', script, SECONDS));

  test.each(PLATFORMS)(
    'on %s as under runc',
    async (platform) => {
      const sandboxed = await runScript(platform, script, SECONDS);
      expect(sandboxed).toEqual(await native());
      expect(sandboxed.status).not.toBe(124);
    },
    3 * SECONDS * 1000,
  );
});
