/** A router between two hosts: forwarding, translation, what it refuses. */
import { isErrno } from '../../abi/errno.ts';
import { ANY4 } from '../address.ts';
import { join, VethInterface } from '../link/virtual_link.ts';
import type { Binding } from '../ports.ts';
import { Stack } from '../stack.ts';
import { CLOSED, type Connection, ESTABLISHED, TcpOptions } from '../tcp/connection.ts';
import { PacketFilter } from './packet_filter.ts';
import { ACCEPT, type Action, FORWARD, type Match, POST_ROUTING, PRE_ROUTING, type Rule, STATE_ESTABLISHED, Table } from './rules.ts';

const INSIDE = '\x0a\0\0\x02';
const GATE_IN = '\x0a\0\0\x01';
const GATE_OUT = '\xc0\0\x02\x01';
const OUTSIDE = '\xc0\0\x02\x02';

function network() {
  let time = 1e9;
  let timers: { at: number; run: () => void }[] = [];
  const make = (settings: Record<string, string> = {}) =>
    new Stack({
      now: () => time,
      startTimer: (at, run) => {
        const timer = { at, run };
        timers.push(timer);
        return () => {
          timers = timers.filter((t) => t !== timer);
        };
      },
      random: (limit) => Math.floor(limit / 3),
      setting: (path) => settings[path],
    });
  const inside = make();
  const gate = make({ 'net/ipv4/ip_forward': '1' });
  const outside = make();
  const cable = (a: Stack, from: string, b: Stack, to: string, index: number): void => {
    const ends = [new VethInterface(a, 2, 'eth0', 1500, mac(1)), new VethInterface(b, index, `eth${index - 2}`, 1500, mac(index))] as const;
    join(ends[0], ends[1]);
    for (const [stack, end, address] of [[a, ends[0], from] as const, [b, ends[1], to] as const]) {
      stack.addInterface(end);
      end.addAddress({ address, prefixLength: 24, broadcast: null });
      const destination = `${address.slice(0, 3)}\0`;
      stack.routes.add({ destination, prefixLength: 24, gateway: null, source: null, device: end, metric: 0 });
    }
  };
  cable(inside, INSIDE, gate, GATE_IN, 2);
  cable(outside, OUTSIDE, gate, GATE_OUT, 3);
  const way = (stack: Stack, gateway: string): void =>
    stack.routes.add({ destination: ANY4, prefixLength: 0, gateway, source: null, device: stack.device(2) as VethInterface, metric: 0 });
  way(inside, GATE_IN);
  const run = (ms: number): void => {
    const end = time + ms * 1e6;
    for (;;) {
      for (const stack of [inside, gate, outside]) stack.deliver();
      timers.sort((a, b) => a.at - b.at);
      const next = timers[0];
      if (next === undefined || next.at > end) break;
      timers.shift();
      time = Math.max(time, next.at);
      next.run();
    }
    time = end;
  };
  const filter = new PacketFilter(gate);
  gate.hooks = filter;
  return { inside, gate, outside, filter, run };
}
const mac = (n: number): Uint8Array => Uint8Array.of(2, 0, 0, 0, 0, n);
const rule = (action: Action, ...matches: Match[]): Rule => ({ matches, action, packets: 0, bytes: 0 });
const table = (name: string, hooks: readonly (readonly [number, readonly Rule[]])[]): Table => {
  const rules: Rule[] = [];
  const entries = new Map<number, number>();
  for (const [hook, own] of hooks) {
    entries.set(hook, rules.length);
    rules.push(...own, rule(ACCEPT));
  }
  return new Table(name, rules, entries);
};
function listen(stack: Stack, address: string, port: number) {
  const binding = stack.tcp.ports.bind({
    ...{ address, port, onlyV6: false, reuseAddress: true, reusePort: false, uid: 0, listening: false, shared: false },
  }) as Binding;
  const listener = stack.tcp.listen(binding, 4, new TcpOptions(), 0, 5, () => {});
  if (isErrno(listener)) throw new Error('listen');
  return listener;
}
const connect = (stack: Stack, address: string, port: number): Connection =>
  stack.tcp.connect({ address, port }, null, new TcpOptions(), 0, 0) as Connection;

test('MASQUERADE: the other side sees the router, and its answers come back', () => {
  const { inside, outside, filter, run } = network();
  const masquerade: Action = { do: 'translate', translation: { kind: 'source', addresses: 'interface', ports: null } };
  filter.tables.set('nat', table('nat', [[POST_ROUTING, [rule(masquerade, (s) => s.out === 'eth1')]]]));
  const listener = listen(outside, OUTSIDE, 80);
  const c = connect(inside, OUTSIDE, 80);
  run(100);
  expect(c.state).toBe(ESTABLISHED);
  const s = listener.accept() as Connection;
  expect(s.remote).toBe(GATE_OUT);
  expect(c.write({ take: (_into, from, to) => to - from }, 5000)).toBe(5000);
  run(100);
  expect([s.receiving.ring.length, filter.connections.size]).toEqual([5000, 2]);
});

test('DNAT: what comes for the router goes inside; a reject tells the sender', () => {
  const { inside, outside, filter, run } = network();
  const dnat: Action = { do: 'translate', translation: { kind: 'destination', addresses: [INSIDE, INSIDE], ports: [8080, 8080] } };
  filter.tables.set('nat', table('nat', [[PRE_ROUTING, [rule(dnat, (s) => s.destinationPort === 80)]]]));
  const closed: Match = (s) => s.destinationPort === 8081 || s.destinationPort === 22;
  filter.tables.set(
    'filter',
    table('filter', [[FORWARD, [rule(ACCEPT, (s) => s.state === STATE_ESTABLISHED), rule({ do: 'reject', how: 7 }, closed)]]]),
  );
  const listener = listen(inside, INSIDE, 8080);
  const c = connect(outside, GATE_OUT, 80);
  run(100);
  const s = listener.accept() as Connection;
  expect([c.state, s.state, s.remote, c.remote]).toEqual([ESTABLISHED, ESTABLISHED, OUTSIDE, GATE_OUT]);
  const refused = connect(inside, OUTSIDE, 22);
  run(100);
  expect(refused.state).toBe(CLOSED);
});

test('two clients with the same port do not get in each other’s way', () => {
  const { inside, outside, filter, run } = network();
  const masquerade: Action = { do: 'translate', translation: { kind: 'source', addresses: 'interface', ports: [5000, 5001] } };
  filter.tables.set('nat', table('nat', [[POST_ROUTING, [rule(masquerade)]]]));
  const listener = listen(outside, OUTSIDE, 80);
  const clients = [connect(inside, OUTSIDE, 80), connect(inside, OUTSIDE, 80), connect(inside, OUTSIDE, 80)];
  run(100);
  expect(clients.filter((c) => c.state === ESTABLISHED).length).toBeGreaterThanOrEqual(2);
  const ports = [listener.accept(), listener.accept()].map((s) => (s as Connection).remotePort).sort();
  expect(ports).toEqual([5000, 5001]);
});

test('a rule that jumps in circles ends', () => {
  const circle = new Table('filter', [rule({ do: 'goto', to: 1 }), rule({ do: 'goto', to: 0 })], new Map([[FORWARD, 0]]));
  expect(circle.decide(FORWARD, { length: 1 } as never).do).toBe('drop');
});
