// Runs sandboxes, so that dist/{runsc,sentry,gofer}.cache hold the functions that a start runs through, and not the outermost alone.
// Needs what runsc needs (root, namespaces). Where that is missing the caches stay as they are: programs start more slowly.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Digits that say how long the cache before them is: one that was cut off is not used. */
const TRAILER = 16;
/** ms */
const PATIENCE = 10_000;

/** The cache that a program has written whole; null: not (yet). */
function written(path) {
  if (!existsSync(path)) return null;
  const bytes = readFileSync(path);
  const length = bytes.length - TRAILER;
  return length > 0 && Number(bytes.toString('latin1', length)) === length ? bytes.subarray(0, length) : null;
}

function install(bytes, name) {
  const path = `dist/${name}.cache`;
  writeFileSync(`${path}.new`, bytes);
  renameSync(`${path}.new`, path);
}

const BUNDLE = {
  ociVersion: '1.0.2',
  process: {
    terminal: false,
    user: { uid: 0, gid: 0 },
    args: ['/bin/sh', '-c', '/bin/true; /bin/true | /bin/true'],
    env: ['PATH=/usr/bin:/bin'],
    cwd: '/',
  },
  root: { path: '/', readonly: true },
  hostname: 'train',
  mounts: [
    { destination: '/proc', type: 'proc', source: 'proc' },
    { destination: '/dev', type: 'tmpfs', source: 'tmpfs' },
    { destination: '/sys', type: 'sysfs', source: 'sysfs' },
  ],
  linux: { namespaces: ['pid', 'ipc', 'uts', 'mount', 'network'].map((type) => ({ type })) },
};

function train(folder) {
  writeFileSync(join(folder, 'config.json'), JSON.stringify(BUNDLE));
  const runsc = (out, ...words) => {
    const env =
      out === null ? process.env : { ...process.env, TSVISOR_CODE_CACHE_OUT: mkdirSync(join(folder, out), { recursive: true }) ?? '' };
    const options = ['--root', join(folder, 'state'), '--ignore-cgroups', '--network=none'];
    return spawnSync('bin/runsc', [...options, ...words], { env, stdio: 'ignore', timeout: PATIENCE }).status;
  };
  // A detached one ends by itself, and so does its gofer; one in the foreground goes all the way through runsc.
  runsc('detached', 'run', '--detach', '--bundle', folder, 'train-1');
  const end = Date.now() + PATIENCE;
  let caches = null;
  while (Date.now() < end && !caches?.every((c) => c !== null)) {
    caches = ['sentry', 'gofer'].map((name) => written(join(folder, 'detached', `${name}.cache`)));
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20);
  }
  runsc(null, 'delete', '--force', 'train-1');
  runsc('foreground', 'run', '--bundle', folder, 'train-2');
  const [sentry, gofer] = caches ?? [];
  return { sentry, gofer, runsc: written(join(folder, 'foreground', 'runsc.cache')) };
}

if (process.getuid?.() === 0) {
  const folder = mkdtempSync(join(tmpdir(), 'tsvisor-train-'));
  try {
    for (const [name, bytes] of Object.entries(train(folder))) if (bytes) install(bytes, name);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
