import { CAP_CHOWN, CAP_NET_RAW, hasCap } from '../kernel/credentials.ts';
import { RLIM_INFINITY, RLIMIT_CORE, RLIMIT_NOFILE } from '../kernel/rlimits.ts';
import { credentialsOf, limitsOf, stringsOf } from './credentials_of.ts';

const PROCESS = { cwd: '/', args: ['é'], user: { uid: 5, gid: 6, additionalGids: [7] } };

test('user, groups and capabilities', () => {
  const creds = credentialsOf({
    ...PROCESS,
    noNewPrivileges: true,
    capabilities: { effective: ['CAP_CHOWN', 'CAP_FUTURE'], bounding: ['CAP_NET_RAW'] },
  });
  expect(creds).toMatchObject({ uid: 5, fsuid: 5, egid: 6, groups: [7], noNewPrivs: true });
  expect(hasCap(creds, CAP_CHOWN)).toBe(true);
  expect(creds.caps.bounding).toBe(1n << BigInt(CAP_NET_RAW));
  expect(credentialsOf(PROCESS).caps.permitted).toBe(0n);
});

test('limits: given ones, defaults, none', () => {
  const limits = limitsOf([
    { type: 'RLIMIT_NOFILE', soft: 10, hard: 20 },
    { type: 'RLIMIT_CORE', soft: 0, hard: 2 ** 64 },
  ]);
  expect(limits.get(RLIMIT_NOFILE)).toEqual({ soft: 10, hard: 20 });
  expect(limits.get(RLIMIT_CORE)).toEqual({ soft: 0, hard: RLIM_INFINITY });
});

test('strings are bytes, and HOME is there', () => {
  expect(stringsOf(PROCESS, () => '/root')).toEqual({ argv: ['Ã©'], env: ['HOME=/root'], cwd: '/' });
  expect(stringsOf({ ...PROCESS, env: ['HOME=/x'] }, () => '/root').env).toEqual(['HOME=/x']);
});
