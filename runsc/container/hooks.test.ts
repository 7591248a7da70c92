import { runHooks, runHooksLenient } from './hooks.ts';
import type { OciState } from './types.ts';

const STATE: OciState = { ociVersion: '1.0.2', id: 'c', status: 'creating', pid: 5, bundle: '/' };
const sh = (script: string, more = {}) => ({ path: '/bin/sh', args: ['sh', '-c', script], ...more });

test('a hook gets the state on stdin, its arguments and its environment alone', async () => {
  const check = sh('read state; case "$state" in *\'"id":"c"\'*) ;; *) echo "$state"; exit 1;; esac; [ "$A" = b ] && [ -z "$HOME" ]', {
    env: ['A=b'],
  });
  await runHooks('prestart', [check, sh('exit 0')], STATE);
});

test('a failure says what, how and the output; later hooks do not run', async () => {
  await expect(runHooks('prestart', [sh('echo why >&2; exit 3'), sh('exit 4')], STATE)).rejects.toThrow(
    'prestart hook /bin/sh: exit status 3: why',
  );
  await expect(runHooks('prestart', [sh('kill -9 $$')], STATE)).rejects.toThrow('killed by SIGKILL');
  await expect(runHooks('prestart', [{ path: '/does/not/exist' }], STATE)).rejects.toThrow('ENOENT');
});

test('lenient: all run, the failures are told', async () => {
  expect(await runHooksLenient('poststop', [sh('exit 3'), sh('exit 0'), sh('exit 4')], STATE)).toEqual([
    'poststop hook /bin/sh: exit status 3',
    'poststop hook /bin/sh: exit status 4',
  ]);
});
