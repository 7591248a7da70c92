/** npm run fuzz -- [--seconds N] [--seed S] [--platform P]: prints what it finds; the exit code is 1 if there is something. */
import { parseArgs } from 'node:util';
import { fuzz } from './fuzz.ts';

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      seconds: { type: 'string', default: '60' },
      seed: { type: 'string', default: String(Date.now() % 1_000_000) },
      platform: { type: 'string', default: 'systrap' },
    },
  });
  const seed = Number(values.seed);
  const seconds = Number(values.seconds);
  if (!Number.isSafeInteger(seed) || seed < 0 || !(seconds > 0)) throw new Error('--seed takes an integer, --seconds a time');
  const { findings, calls, start, idle, peakResident } = await fuzz({ platform: values.platform, seed, seconds });
  const held = (h: typeof start): string =>
    h === null ? '?' : `${h.descriptors} descriptors, ${h.processes} processes, ${h.resident >> 20} MiB`;
  console.log(
    `${values.platform}, seed ${seed}: ${calls} calls; start: ${held(start)}; end: ${held(idle)}; peak ${peakResident >> 20} MiB`,
  );
  for (const finding of findings) console.log(`FOUND ${finding}`);
  return findings.length === 0 ? 0 : 1;
}

main().then(
  (status) => {
    process.exitCode = status;
  },
  (e) => {
    console.error(e.message);
    process.exitCode = 2;
  },
);
