import { type EgressPolicy, PolicyError, parseEgressPolicy, parseIp } from '../../lib/egress_policy.ts';
import { ANY4 } from '../address.ts';
import { PLAIN_SEND } from '../stack.ts';
import { type Connection, ESTABLISHED, TcpOptions } from '../tcp/connection.ts';
import { EtherWorld } from '../testing/ether_world.ts';
import { UdpEndpoint } from '../udp.ts';
import { type Decision, Egress } from './egress.ts';

const A = parseIp('10.0.0.1') as string;
const B = parseIp('10.0.0.2') as string;
const policy = (value: object): EgressPolicy => parseEgressPolicy(JSON.stringify(value), 'p');

test('what is not known is refused by name', () => {
  const wrong: [object, string][] = [
    [{}, 'p: default: must be allow or deny'],
    [{ default: 'deny', rule: [] }, 'p: unknown key rule'],
    [{ default: 'deny', rules: [{ action: 'allow', port: 80 }] }, 'p: rules[0]: unknown key port'],
    [{ default: 'deny', rules: [{ action: 'drop' }] }, 'p: rules[0].action: must be allow or deny, not "drop"'],
    [{ default: 'deny', rules: [{ action: 'allow', cidr: '10.0.0.0/33' }] }, 'rules[0].cidr[0]: "10.0.0.0/33" is no network'],
    [{ default: 'deny', rules: [{ action: 'allow', cidr: ['010.0.0.1'] }] }, 'is no network'],
    [{ default: 'deny', rules: [{ action: 'allow', ports: ['90-80'] }] }, 'rules[0].ports[0]: "90-80" is no port or range'],
    [{ default: 'deny', rules: [{ action: 'allow', protocol: 'http' }] }, 'rules[0].protocol[0]: "http" is none of tcp'],
    [{ default: 'deny', rules: [{ action: 'allow', names: ['a b'] }] }, 'rules[0].names[0]: "a b" is no name'],
    [{ default: 'deny', rules: [{ action: 'allow', names: ['a.b'] }] }, 'resolvers: is missing'],
    [{ default: 'deny', rules: [{ action: 'allow', cidr: [] }] }, 'rules[0].cidr: is empty'],
    [{ default: 'deny', log: 'some' }, 'p: log: must be all or denied or none'],
  ];
  for (const [value, message] of wrong) expect(() => policy(value)).toThrow(message);
  expect(() => parseEgressPolicy('{', 'p')).toThrow(PolicyError);
});

test('addresses in both notations', () => {
  expect(parseIp('::1')).toBe(`${'\0'.repeat(15)}\x01`);
  expect(parseIp('fd00::a:0')).toBe(`\xfd${'\0'.repeat(12)}\x0a\0\0`);
  expect(parseIp('1:2:3:4:5:6:7:8')?.length).toBe(16);
  for (const text of ['', '1.2.3', '1.2.3.256', '01.2.3.4', ':::', '1::2::3', '1:2:3:4:5:6:7:8:9', 'g::', '1:2:3:4:5:6:7::8::'])
    expect(parseIp(text)).toBeNull();
});

function world(value: object): { w: EtherWorld; egress: Egress; log: Decision[] } {
  const w = new EtherWorld();
  w.assign(w.a, A, 24);
  w.assign(w.b, B, 24);
  const egress = new Egress(policy(value), w.a.stack.environment);
  const log: Decision[] = [];
  egress.onDecision = (decision) => log.push(decision);
  w.a.egress = egress;
  return { w, egress, log };
}
function listen(w: EtherWorld, side: 'a' | 'b', port: number): void {
  const { tcp } = w[side].stack;
  const binding = { address: ANY4, port, onlyV6: false, reuseAddress: false, reusePort: false, uid: 0, listening: false, shared: false };
  tcp.listen(tcp.ports.bind(binding) as never, 4, new TcpOptions(), 0, 8, () => {});
}
const connect = (w: EtherWorld, side: 'a' | 'b', address: string, port: number): Connection =>
  w[side].stack.tcp.connect({ address, port }, null, new TcpOptions(), 0, 0) as Connection;

test('the first rule that matches decides; a refused connection is told at once; whoever comes from outside is answered', () => {
  const { w, log } = world({
    default: 'deny',
    rules: [
      { action: 'deny', ports: [81] },
      { action: 'allow', cidr: '10.0.0.0/24', ports: ['80-90'], protocol: 'tcp' },
    ],
  });
  for (const port of [80, 81, 100]) listen(w, 'b', port);
  listen(w, 'a', 7000);
  const open = connect(w, 'a', B, 80);
  const denied = [connect(w, 'a', B, 81), connect(w, 'a', B, 100)];
  const back = connect(w, 'b', A, 7000);
  w.run(2);
  expect(open.state).toBe(ESTABLISHED);
  expect(back.state).toBe(ESTABLISHED);
  for (const c of denied) expect(c.error).toBe(-13);
  expect(log.map(({ action, port, rule }) => [action, port, rule])).toEqual([
    ['allow', 80, 1],
    ['deny', 81, 0],
    ['deny', 100, null],
  ]);
});

/** An answer: one CNAME and one address for `asked`. */
function answer(id: number, asked: string, alias: string, address: string): Uint8Array {
  const name = (text: string): number[] => [...text.split('.').flatMap((label) => [label.length, ...Buffer.from(label)]), 0];
  const record = (owner: number[], type: number, data: number[]): number[] => [
    ...owner,
    0,
    type,
    0,
    1,
    0,
    0,
    0,
    60,
    0,
    data.length,
    ...data,
  ];
  return Uint8Array.of(
    ...[id >> 8, id & 255, 0x81, 0x80, 0, 1, 0, 3, 0, 0, 0, 0],
    ...name(asked),
    ...[0, 1, 0, 1],
    ...record([0xc0, 12], 5, name(alias)),
    ...record(
      name(alias),
      1,
      [...address].map((c) => c.charCodeAt(0)),
    ),
    ...record(name('not.asked'), 1, [9, 9, 9, 9]),
  );
}
const question = (id: number, asked: string): Uint8Array => {
  const bytes = answer(id, asked, 'x', '....').slice(0, 12 + asked.length + 2 + 4);
  bytes.set([0, 0, 0, 1, 0, 0], 2);
  return bytes;
};

test('a name counts once a name server of the policy has answered a question that was asked', () => {
  const rules = [{ action: 'allow', names: ['*.example.com'], ports: [443], protocol: 'tcp' }];
  const { w, egress, log } = world({ default: 'deny', resolvers: ['10.0.0.2'], rules, log: 'denied' });
  const target = parseIp('10.0.0.2') as string;
  expect(egress.decide(6, target, 443)).toBe(false);
  const server = new UdpEndpoint(w.b.stack.udp, 4, ANY4, () => {});
  server.bind(ANY4, 53, { reuseAddress: false, reusePort: false, uid: 0 });
  const client = new UdpEndpoint(w.a.stack.udp, 4, ANY4, () => {});
  const send = (from: UdpEndpoint, to: { address: string; port: number }, bytes: Uint8Array): void => {
    from.send(
      to,
      bytes.length,
      (into, start) => {
        into.set(bytes, start);
        return bytes.length;
      },
      PLAIN_SEND,
      null,
    );
    w.run(1);
  };
  send(client, { address: B, port: 53 }, question(7, 'www.example.com'));
  const asker = server.next() as { source: string; sourcePort: number };
  const to = { address: asker.source, port: asker.sourcePort };
  send(server, to, answer(8, 'www.example.com', 'cdn.example.net', target)); // another number
  send(server, to, answer(7, 'evil.example.com', 'cdn.example.net', target)); // another question
  expect(egress.decide(6, target, 443)).toBe(false);
  send(server, to, answer(7, 'www.example.com', 'cdn.example.net', target));
  expect(egress.names.of(target, w.time)).toEqual(['www.example.com', 'cdn.example.net']);
  expect(egress.names.of('\x09\x09\x09\x09', w.time)).toEqual([]);
  expect(egress.decide(6, target, 443)).toBe(true);
  expect(egress.decide(6, target, 80)).toBe(false);
  w.run(100);
  expect(egress.decide(6, target, 443)).toBe(false);
  expect(log.every((d) => d.action === 'deny')).toBe(true);
  expect(log.at(-1)).toMatchObject({ protocol: 'tcp', address: '10.0.0.2', port: 443, names: [], rule: null });
});

test('answers that make no sense do no harm', () => {
  const { egress } = world({ default: 'deny' });
  const whole = answer(1, 'a.b', 'c.d', 'abcd');
  for (let n = 0; n < whole.length; n++) egress.learn(whole.slice(0, n));
  for (let i = 0; i < whole.length; i++) {
    const broken = whole.slice();
    broken[i] = 0xc0; // a name that points anywhere, itself included
    egress.learn(broken);
  }
});
