/** The sandbox's TCP against Linux over a link that spoils frames from a seed: what arrives is what was sent. */
import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { missing, NetWorld, PEER, PEER6, POD, POD6, sh } from './net_world.ts';
import { type Conditions, Relay } from './relay.ts';

const CONDITIONS: readonly (readonly [string, Conditions])[] = [
  ['one frame in fifty lost', { seed: 1, loss: 200 }],
  ['a way of 2 ms, up to 3 ms more, so that frames overtake each other', { seed: 2, delay: 2000, jitter: 3000 }],
  ['a tenth at once past others that wait', { seed: 3, delay: 3000, reorder: 1000 }],
  ['one frame in ten twice', { seed: 4, duplicate: 1000, jitter: 300 }],
  ['all of it', { seed: 5, loss: 100, duplicate: 200, reorder: 500, delay: 1000, jitter: 1000 }],
];
const SIZE = 3 << 20;

(missing().length === 0 ? describe : describe.skip)('a link that spoils', () => {
  const folder = mkdtempSync(join(tmpdir(), 'relay-'));
  const file = randomBytes(SIZE);
  const sum = createHash('sha256').update(file).digest('hex');
  let relay: Relay;
  let world: NetWorld;
  let sandbox: string;
  beforeAll(async () => {
    relay = new Relay(folder);
    world = new NetWorld(relay.join);
    writeFileSync(join(folder, 'outside'), file);
    world.background(world.peer, ['busybox', 'httpd', '-f', '-p', '8000', '-h', folder]);
    sandbox = await world.start('busybox httpd -p 80 -h /data; echo ready; sleep 10000', [], { 'data/inside': file });
  }, 60_000);
  afterAll(async () => {
    await world.close();
    relay.close();
    rmSync(folder, { recursive: true });
  }, 60_000);

  test.each(CONDITIONS)(
    '%s',
    async (_name, conditions) => {
      await relay.start(conditions);
      for (const address of [POD, `[${POD6}]`]) {
        const got = sh(`ip netns exec ${world.peer} busybox wget -q -O - http://${address}/inside | sha256sum`);
        expect(got).toContain(sum);
      }
      for (const address of [PEER, `[${PEER6}]`]) {
        const fetch = `busybox wget -q -O - http://${address}:8000/outside | busybox sha256sum`;
        expect(world.runsc.runsc(['exec', sandbox, 'busybox', 'sh', '-c', fetch]).stdout).toContain(sum);
      }
    },
    120_000,
  );
});
