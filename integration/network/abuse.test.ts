/** Clients that mean no good, against a server in the sandbox: it stays alive and small, and others are served. Larger by `npm run soak:network`. */
import { join } from 'node:path';
import { holdings, sentryOf } from '../fuzz/watch_sentry.ts';
import { size } from '../soak/size.ts';
import { InteropWorld, imageMissing } from './interop_world.ts';
import { missing, POD, POD6 } from './net_world.ts';

const SECONDS = 300;
/** What one of them may cost the Sentry, bytes: connection, socket, file, and the events that wait for it. */
const IDLE_COST = 32_768;
/** A sender's buffer to one that does not read. */
const SLOW_COST = 1024 * 1024;

(missing().length === 0 && !imageMissing() ? describe : describe.skip)('abuse', () => {
  let world: InteropWorld;
  let sentry: number;
  const resident = (): number => holdings(sentry)?.resident ?? Number.NaN;
  beforeAll(async () => {
    world = new InteropWorld(join(__dirname, 'abuse'));
    await world.startSandbox('systrap');
    sentry = sentryOf(world.sandbox as string) as number;
    world.serve('sandbox', 'idle');
    expect(await world.ask('outside', 'idle', POD, SECONDS, 300)).toMatch(/status 0$/);
  }, 60_000);
  afterAll(() => world.close(), 60_000);

  test(
    'idle connections cost little, and all still work',
    async () => {
      const count = size(2000, 10_000);
      const before = resident();
      let during = Number.NaN;
      const said = await world.ask('outside', 'idle', POD, SECONDS, count, () => {
        during = resident();
      });
      expect(said).toBe(`greeted ${count}\na new one True\nold ones 200\nstatus 0`);
      const each = (during - before) / count;
      process.stderr.write(`abuse: ${count} idle connections, ${Math.round(each)} bytes of the Sentry each\n`);
      expect(each).toBeLessThan(IDLE_COST);
    },
    SECONDS * 1000,
  );

  test(
    'a flood of SYNs lets honest clients through',
    async () => {
      const count = size(5000, 200_000);
      const before = resident();
      expect(await world.ask('outside', 'syn_flood', POD, SECONDS, count)).toBe('served 20\nstatus 0');
      expect(resident() - before).toBeLessThan(64 << 20);
    },
    SECONDS * 1000,
  );

  test(
    'slow readers hold one buffer each, and nobody up',
    async () => {
      const count = size(40, 400);
      const before = resident();
      let during = Number.NaN;
      const said = await world.ask('outside', 'slow_readers', POD6, SECONDS, count, () => {
        during = resident();
      });
      expect(said).toBe(`all are served ${count}\na quick one True\nhas it all 0\nstatus 0`);
      const each = (during - before) / count;
      process.stderr.write(`abuse: ${count} slow readers, ${Math.round(each / 1024)} KiB of the Sentry each\n`);
      expect(each).toBeLessThan(SLOW_COST);
    },
    SECONDS * 1000,
  );
});
