/** Which table is asked, and what follows. */
import { EACCES, ENETUNREACH } from '../abi/errno.ts';
import { ANY4 } from './address.ts';
import { DummyInterface } from './link/virtual_link.ts';
import { type PolicyRule, REFUSE_PROHIBIT } from './policy_rules.ts';
import type { Route } from './routes.ts';
import { Stack } from './stack.ts';

const FIRST = '\x0a\0\0\x01';
const SECOND = '\x0b\0\0\x01';
const FAR = '\x08\x08\x08\x08';

function world() {
  const stack = new Stack({ now: () => 0, startTimer: () => () => {}, random: () => 0 });
  const devices = [FIRST, SECOND].map((address, i) => {
    const device = new DummyInterface(stack, i + 2, `d${i}`, 1500, new Uint8Array(6));
    stack.addInterface(device);
    device.addAddress({ address, prefixLength: 8, broadcast: null });
    return device;
  });
  const [first, second] = devices as [DummyInterface, DummyInterface];
  stack.routes.add({ destination: ANY4, prefixLength: 0, gateway: '\x0a\0\0\x02', source: null, device: first, metric: 0 });
  stack.routes.add({ destination: ANY4, prefixLength: 0, gateway: '\x0b\0\0\x02', source: null, device: second, metric: 0, table: 100 });
  const rule = (change: Partial<PolicyRule>): PolicyRule => ({
    ...{ version: 4, priority: 100, inverted: false, source: null, destination: null, mark: 0, mask: 0, input: null, output: null },
    ...{ action: { table: 100 }, suppressed: -1, protocol: 0, ...change },
  });
  const name = (way: Route | number): string | number => (typeof way === 'number' ? way : way.device.name);
  const way = (source: string | null, mark = 0, destination = FAR) => name(stack.route(destination, source, 0, mark));
  return { stack, rule, way };
}

test('without rules table main has it all', () => {
  const { way } = world();
  expect([way(null), way(SECOND), way(null, 7)]).toEqual(['d0', 'd0', 'd0']);
});

test('by source, by mark with a mask, by destination, turned round, refused', () => {
  const { stack, rule, way } = world();
  const { rules } = stack.routes;
  const from = rule({ source: { address: SECOND, length: 32 } });
  rules.add(from);
  expect([way(null), way(FIRST), way(SECOND)]).toEqual(['d0', 'd0', 'd1']);
  rules.remove(from);
  const marked = rule({ mark: 0x10, mask: 0xf0 });
  rules.add(marked);
  expect([way(null, 0x1f), way(null, 0x2f), way(null)]).toEqual(['d1', 'd0', 'd0']);
  rules.remove(marked);
  rules.add(rule({ mark: 5, mask: 0xffff_ffff, inverted: true }));
  expect([way(null, 5), way(null)]).toEqual(['d0', 'd1']);
  rules.add(rule({ priority: 1, destination: { address: '\x08\0\0\0', length: 8 }, action: { refuse: REFUSE_PROHIBIT } }));
  expect([way(null, 5), way(null, 5, '\x09\0\0\x01')]).toEqual([EACCES, 'd0']);
});

test('routes that are too short do not count where a rule suppresses them; a table without a route passes on; nothing at all is unreachable', () => {
  const { stack, rule, way } = world();
  const { rules } = stack.routes;
  rules.add(rule({ priority: 10, action: { table: 254 }, suppressed: 0 }));
  rules.add(rule({ priority: 20, action: { table: 200 } }));
  rules.add(rule({ priority: 30 }));
  expect(way(null)).toBe('d1');
  for (const one of rules.all.filter(({ priority }) => priority > 20)) rules.remove(one);
  expect(way(null)).toBe(ENETUNREACH);
  expect(way(null, 0, FIRST)).toBe('lo'); // our own come first always
});

test('a rule without a priority comes before those that are there', () => {
  const { stack, rule } = world();
  const { rules } = stack.routes;
  expect(rules.freePriority(4)).toBe(32_765);
  rules.add(rule({ priority: 32_765 }));
  expect([rules.freePriority(4), rules.freePriority(6)]).toEqual([32_764, 32_765]);
});
