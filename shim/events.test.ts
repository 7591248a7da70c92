import type { TtrpcClient } from '../lib/ttrpc/client.ts';
import { INVALID_ARGUMENT, StatusError, UNAVAILABLE } from '../lib/ttrpc/status.ts';
import { Events } from '../proto/messages.ts';
import { EventPublisher } from './events.ts';
import { Log } from './log.ts';

const event = { type_url: 'containerd.events.TaskOOM', value: new Uint8Array(0) };
const log = new Log(null, 'error', {});

/** A containerd that fails as `failures` say, one entry an attempt, and then takes everything. */
function fakeContainerd(failures: (StatusError | 'refuse')[]) {
  const topics: string[] = [];
  let connections = 0;
  const connect = async (): Promise<TtrpcClient> => {
    connections++;
    if (failures[0] === 'refuse') {
      failures.shift();
      throw new StatusError(UNAVAILABLE, 'connect');
    }
    const client = {
      closed: false,
      close: () => {},
      call: async (_s: string, _m: string, payload: Uint8Array) => {
        const failure = failures.shift();
        if (failure !== undefined) throw failure;
        topics.push(Events.ForwardRequest.decode(payload).envelope?.topic as string);
        return new Uint8Array(0);
      },
    };
    return client as unknown as TtrpcClient;
  };
  return { topics, connect, connections: () => connections };
}

beforeEach(() => jest.useFakeTimers());
afterEach(() => jest.useRealTimers());

test('events arrive in order, each once, across failures', async () => {
  const containerd = fakeContainerd(['refuse', 'refuse', new StatusError(UNAVAILABLE, 'gone')]);
  const publisher = new EventPublisher('ns', containerd.connect, log);
  for (const topic of ['a', 'b', 'c']) publisher.publish(topic, event);
  const flushed = publisher.flush(60_000);
  await jest.advanceTimersByTimeAsync(1000);
  await flushed;
  expect(containerd.topics).toEqual(['a', 'b', 'c']);
  expect(containerd.connections()).toBe(4);
});

test('an event that containerd refuses does not hold up the others', async () => {
  const containerd = fakeContainerd([new StatusError(INVALID_ARGUMENT, 'bad topic')]);
  const publisher = new EventPublisher('ns', containerd.connect, log);
  publisher.publish('bad', event);
  publisher.publish('good', event);
  await publisher.flush(1000);
  expect(containerd.topics).toEqual(['good']);
});

test('a flush ends although containerd stays away; nobody to tell is no failure', async () => {
  const publisher = new EventPublisher('ns', () => Promise.reject(new Error('down')), log);
  publisher.publish('a', event);
  const flushed = publisher.flush(500);
  await jest.advanceTimersByTimeAsync(500);
  await flushed;
  const silent = new EventPublisher('ns', null, log);
  silent.publish('a', event);
  await silent.flush(1);
});
