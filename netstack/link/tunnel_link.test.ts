import { ANY4, isLinkLocal6 } from '../address.ts';
import { checksum } from '../checksum.ts';
import type { Environment } from '../environment.ts';
import { get16, IPPROTO_UDP, Packet, writeHeader } from '../packet.ts';
import { PLAIN_SEND, Stack } from '../stack.ts';
import { VNET_HEADER } from './ethernet.ts';
import { checkOffload } from './offload_header.ts';
import { TapInterface, TunInterface } from './tunnel_link.ts';
import { QueueBudget, TunnelPort, TunnelQueue } from './tunnel_port.ts';

const HERE = '\x0a\0\0\x01';
const FAR = '\x08\x08\x08\x08';
const IPV4 = 0x0800;

function stackOf(settings: Record<string, string> = {}): Stack {
  const environment: Environment = { now: () => 1e9, startTimer: () => () => {}, random: (n) => n >> 1, setting: (path) => settings[path] };
  return new Stack(environment);
}
class End {
  readonly port = new TunnelPort();
  readonly queues: TunnelQueue[];
  readonly device: TunInterface;
  constructor(stack: Stack, index: number, mtu = 1500, queues = 1, budget = 1 << 20) {
    const shared = new QueueBudget(budget);
    this.queues = Array.from({ length: queues }, () => new TunnelQueue(shared, () => {}));
    this.port.queues.push(...this.queues);
    this.device = new TunInterface(stack, index, `tun${index}`, mtu, this.port);
    stack.addInterface(this.device);
  }
  route(destination: string, prefixLength: number): this {
    const entry = { destination, prefixLength, gateway: null, source: null, device: this.device, metric: 0 };
    this.device.stack.routes.add(entry);
    return this;
  }
  /** IP packets that wait. */
  taken(queue = this.queues[0] as TunnelQueue): Uint8Array[] {
    const found: Uint8Array[] = [];
    for (let frame = queue.shift(); frame !== null; frame = queue.shift()) found.push(frame.subarray(VNET_HEADER));
    return found;
  }
}
function send(stack: Stack, destination: string, port = 9): void {
  const packet = new Packet(4, 12);
  packet.bytes.set([0, 53, port >> 8, port & 255, 0, 12], packet.transport);
  packet.checksumOffset = 6;
  const route = stack.route(destination, HERE);
  if (typeof route === 'number') throw new Error('no route');
  stack.send(packet, route, destination, IPPROTO_UDP, PLAIN_SEND);
}
/** A TCP packet of `data` bytes from the network's own side, merged of segments of `size`. */
function merged(data: number, size: number, mayFragment = true): Uint8Array {
  const packet = new Packet(4, 20 + data);
  writeHeader(packet, { source: '\x0a\0\0\x63', destination: FAR, protocol: 6, ttl: 64, tos: 0, id: 1, mayFragment });
  packet.bytes[packet.transport + 12] = 0x50;
  const whole = new Uint8Array(VNET_HEADER + packet.length);
  whole.set(packet.bytes.subarray(packet.bytes.length - packet.length), VNET_HEADER);
  whole.set([1, 1, 40, 0, size & 255, size >> 8, 20, 0, 16, 0]);
  return whole;
}

test('queues hold what the interface allows and the budget has, and count what is lost', () => {
  const stack = stackOf();
  const end = new End(stack, 2).route(ANY4, 0);
  end.device.queueLength = 3;
  for (let i = 0; i < 5; i++) send(stack, FAR);
  expect([end.taken().length, end.device.statistics.tx_dropped]).toEqual([3, 2]);
  const small = new End(stack, 3, 1500, 1, 1000).route(FAR, 32);
  for (let i = 0; i < 5; i++) send(stack, FAR);
  expect(small.taken()).toHaveLength(3); // 50 bytes and what holds them, each
  for (let i = 0; i < 2; i++) send(stack, FAR);
  expect(small.taken()).toHaveLength(2);
});

test('checksums are complete, or left to a program that asked for them', () => {
  const stack = stackOf();
  const end = new End(stack, 2).route(ANY4, 0);
  send(stack, FAR);
  const [packet] = end.taken() as [Uint8Array];
  expect(checksum(packet, 0, 20)).toBe(0);
  expect(get16(packet, 26)).not.toBe(0);
  end.device.setOffload({ checksums: true, segments4: false, segments6: false });
  send(stack, FAR);
  expect([...(end.queues[0]?.shift()?.subarray(0, VNET_HEADER) ?? [])]).toEqual([1, 0, 0, 0, 0, 0, 20, 0, 6, 0]);
});

test('without a carrier, a descriptor or power nothing leaves', () => {
  const stack = stackOf();
  const end = new End(stack, 2).route(ANY4, 0);
  end.device.setCarrier(false);
  send(stack, FAR);
  end.device.setCarrier(true);
  end.port.withdraw(end.queues[0] as TunnelQueue);
  send(stack, FAR);
  expect([end.taken(), end.device.statistics.tx_dropped]).toEqual([[], 2]);
});

test('a flow goes where its other direction was written', () => {
  const stack = stackOf();
  const end = new End(stack, 2, 1500, 2).route(ANY4, 0);
  const [a, b] = end.queues as [TunnelQueue, TunnelQueue];
  const flow = merged(10, 1000);
  const answer = flow.slice();
  answer.set(flow.subarray(VNET_HEADER + 12, VNET_HEADER + 16), VNET_HEADER + 16);
  answer.set(flow.subarray(VNET_HEADER + 16, VNET_HEADER + 20), VNET_HEADER + 12);
  for (const queue of [a, b, a]) {
    end.device.take(flow, IPV4, queue);
    end.port.put(answer, VNET_HEADER, 10);
    expect([end.taken(queue).length, end.taken(queue === a ? b : a).length]).toEqual([1, 0]);
  }
  end.port.withdraw(a);
  end.port.put(answer, VNET_HEADER, 10);
  expect(end.taken(b)).toHaveLength(1);
});

test('what a link has merged is cut for the next one, or told to be too long for it', () => {
  const stack = stackOf({ 'net/ipv4/ip_forward': '1' });
  const [from, to] = [new End(stack, 2).route('\x0a\0\0\0', 8), new End(stack, 3, 600).route(FAR, 32)];
  from.device.addAddress({ address: HERE, prefixLength: 8, broadcast: null });
  from.device.take(merged(1400, 500, false), IPV4, from.queues[0] as TunnelQueue);
  expect(to.taken().map((packet) => packet.length)).toEqual([540, 540, 440]);
  from.device.take(merged(1400, 700, false), IPV4, from.queues[0] as TunnelQueue);
  expect(to.taken()).toEqual([]);
  const [told] = from.taken() as [Uint8Array];
  expect([told[20], told[21], get16(told, 26)]).toEqual([3, 4, 600]); // fragmentation needed
});

test('a header that says what is not true of its packet is refused', () => {
  const good = merged(1400, 500);
  expect(checkOffload(good.slice(), false)).toBe(true);
  const wrong: [number, number][] = [
    [1, 4],
    [1, 5],
    [4, 1],
    [2, 255],
    [VNET_HEADER, 0x46],
    [VNET_HEADER + 9, 17],
    [VNET_HEADER + 32, 0x40],
    [VNET_HEADER + 6, 0x20],
  ];
  for (const [at, value] of wrong) {
    const bytes = good.slice();
    bytes[at] = value;
    if (at === 4) bytes[5] = 0;
    if (at === 2) bytes[3] = 255;
    expect([at, checkOffload(bytes, false)]).toEqual([at, false]);
  }
  expect(checkOffload(good.subarray(0, VNET_HEADER + 30), false)).toBe(false);
});

test('link-local addresses come with the interface and go with it', () => {
  const stack = stackOf();
  const { device } = new End(stack, 2);
  device.setUp(false);
  device.setUp(true);
  expect(device.addresses.map(({ address }) => isLinkLocal6(address))).toEqual([true]);
  device.setUp(false);
  expect([device.addresses, stack.routes.entries]).toEqual([[], []]);
  const tap = new TapInterface(stack, 3, 'tap0', 1500, Uint8Array.of(2, 0, 0, 0, 0, 9), new TunnelPort());
  tap.up = false;
  stack.addInterface(tap);
  tap.setUp(true);
  expect(tap.ndp.isTentative(`\xfe\x80${'\0'.repeat(6)}\0\0\0\xff\xfe\0\0\x09`)).toBe(true);
});
