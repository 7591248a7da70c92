/**
 * Programs in the sandbox and programs outside, over the veth link, IPv4 and IPv6, each as the server and as the client: the client prints what
 * it prints when both are on Linux.
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { InteropWorld, imageMissing, type Side } from './interop_world.ts';
import { missing, PEER, PEER6, POD, POD6 } from './net_world.ts';

const SCRIPTS = join(__dirname, 'interop');
const PAIRS = readdirSync(SCRIPTS)
  .filter((name) => name.endsWith('.sh') && name !== 'common.sh')
  .map((name) => name.slice(0, -3));
const PLATFORMS = (process.env.TSVISOR_TEST_PLATFORMS ?? 'systrap').split(',');
const SECONDS = 60;
const ADDRESSES: Readonly<Record<Side, readonly string[]>> = { sandbox: [POD, POD6], outside: [PEER, PEER6] };

(missing().length === 0 && !imageMissing() ? describe : describe.skip).each(PLATFORMS)('on %s', (platform) => {
  let world: InteropWorld;
  beforeAll(async () => {
    world = new InteropWorld(SCRIPTS);
    await world.startSandbox(platform);
  }, 60_000);
  afterAll(() => world.close(), 60_000);

  describe.each(PAIRS)('%s', (pair) => {
    let reference: string;
    beforeAll(async () => {
      world.serve('outside', pair);
      world.serve('sandbox', pair);
      reference = await world.ask('outside', pair, PEER, SECONDS);
    }, SECONDS * 1000);
    afterAll(() => world.stopServers());

    test('on Linux', () => expect(reference).toMatch(/status 0$/));
    test.each([
      ['sandbox', 'outside'],
      ['outside', 'sandbox'],
    ] as const)(
      'asked from the %s, served by the %s',
      async (from, to) => {
        for (const address of ADDRESSES[to]) expect(await world.ask(from, pair, address, SECONDS)).toBe(reference);
      },
      2 * SECONDS * 1000,
    );
  });
});
