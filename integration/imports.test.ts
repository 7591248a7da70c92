import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';

const ROOT = resolve(__dirname, '..');

/** Which top-level folders each may import. sentry and netstack meet in sentry/socket/inet alone; programs talk by protocol. */
const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  abi: [],
  'native-addon': ['abi'],
  lib: ['abi', 'native-addon'],
  netstack: ['abi', 'lib'],
  platforms: ['abi', 'lib', 'native-addon'],
  proto: ['abi', 'lib'],
  sentry: ['abi', 'lib', 'netstack', 'platforms', 'proto'],
  gofer: ['abi', 'lib'],
  runsc: ['abi', 'lib', 'proto'],
  shim: ['abi', 'lib', 'proto', 'runsc'],
};

function sources(dir: string): string[] {
  if (!existsSync(dir)) return [];
  return readdirSync(dir, { withFileTypes: true }).flatMap((entry) => {
    const path = join(dir, entry.name);
    if (entry.isDirectory()) return entry.name === 'build' || entry.name === 'generated' ? [] : sources(path);
    return entry.name.endsWith('.ts') ? [path] : [];
  });
}

test.each(Object.keys(ALLOWED))('%s imports only what lies below it', (folder) => {
  const wrong: string[] = [];
  for (const file of sources(join(ROOT, folder))) {
    for (const [, target] of readFileSync(file, 'utf8').matchAll(/from '(\.[^']*)'/g)) {
      const path = relative(ROOT, resolve(dirname(file), target as string));
      const top = path.split('/')[0] as string;
      if (top === folder) continue;
      if (!(ALLOWED[folder] as readonly string[]).includes(top)) wrong.push(`${relative(ROOT, file)} imports ${path}`);
      if (folder === 'sentry' && top === 'platforms' && !/^platforms\/(platform|host_poll|select)\.ts$/.test(path))
        wrong.push(`${relative(ROOT, file)} imports ${path}`);
      if (folder === 'sentry' && top === 'netstack' && !relative(ROOT, file).startsWith('sentry/socket/inet/'))
        wrong.push(`${relative(ROOT, file)} imports ${path}`);
    }
  }
  expect(wrong).toEqual([]);
});
