/** npm run fuzz -- [--seconds N] [--seed S] [--platform P] [--packets]: prints what it finds; the exit code is 1 if there is something. */
import { parseArgs } from 'node:util';
import { PacketFuzz } from '../../netstack/testing/packet_fuzz.ts';
import { fuzz } from './fuzz.ts';

/** Random and changed packets into the stack, in this process: it dies of what the stack throws. */
function fuzzPackets(seed: number, seconds: number): number {
  const end = Date.now() + seconds * 1000;
  let packets = 0;
  let peak = 0;
  for (let round = 0; Date.now() < end; round++) {
    const fuzz = new PacketFuzz(seed + round);
    for (let i = 0; i < 20_000 && Date.now() < end; i++, packets++) {
      try {
        fuzz.step();
      } catch (e) {
        console.log(`FOUND seed ${seed + round}, packet ${i}: ${(e as Error).stack}`);
        return 1;
      }
    }
    peak = Math.max(peak, process.memoryUsage.rss());
  }
  console.log(`seed ${seed}: ${packets} packets; peak ${peak >> 20} MiB`);
  return 0;
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      seconds: { type: 'string', default: '60' },
      seed: { type: 'string', default: String(Date.now() % 1_000_000) },
      platform: { type: 'string', default: 'systrap' },
      packets: { type: 'boolean', default: false },
    },
  });
  const seed = Number(values.seed);
  const seconds = Number(values.seconds);
  if (!Number.isSafeInteger(seed) || seed < 0 || !(seconds > 0)) throw new Error('--seed takes an integer, --seconds a time');
  if (values.packets) return fuzzPackets(seed, seconds);
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
