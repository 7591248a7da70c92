/** npm run fuzz:instructions -- [--seconds N] [--seed S] [--platform P]: prints what it finds; the exit code is 1 if there is something. */
import { parseArgs } from 'node:util';
import { host } from '../../lib/host.ts';
import { openKvm } from '../../lib/kvm_probe.ts';
import { HostPoll } from '../../platforms/host_poll.ts';
import { createPlatform, openSource, type PlatformKind } from '../../platforms/select.ts';
import { fuzzInstructions } from './instructions.ts';

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '600' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    platform: { type: 'string', default: 'kvm' },
  },
});
const kind = values.platform as PlatformKind;
const device = kind === 'kvm' ? openKvm() : null;
if (typeof device === 'string') throw new Error(device);
const procFd = host.openat(-100, '/proc', 0o2000000);
const platform = createPlatform(kind, { host, poll: new HostPoll(host), procFd, sourceFd: openSource(host, kind, device) });
const { findings, cases, ends } = fuzzInstructions({
  platform,
  seed: Number(values.seed),
  seconds: Number(values.seconds),
  cases: Infinity,
});
console.log(`${kind}, seed ${values.seed}: ${cases} cases; ${[...ends].map(([what, n]) => `${what} ${n}`).join(', ')}`);
for (const finding of findings) console.log(`FOUND ${finding}`);
platform.shutdown();
process.exit(findings.length === 0 ? 0 : 1);
