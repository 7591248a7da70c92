import { Events, Metrics, Task, timestamp } from './messages.ts';

test('a state response has the field numbers that containerd reads', () => {
  const bytes = Task.StateResponse.encode({
    id: 'c',
    pid: 300,
    status: Task.Status.STOPPED,
    terminal: true,
    exit_status: 137,
    exited_at: { seconds: 1, nanos: 2 },
    exec_id: 'e',
  }).finish();
  const expected = '0a0163' + '18ac02' + '2003' + '4001' + '488901' + '520408011002' + '5a0165';
  expect(Buffer.from(bytes).toString('hex')).toBe(expected);
});

test('64-bit values are numbers both ways', () => {
  const limit = Number.MAX_SAFE_INTEGER;
  const bytes = Metrics.MetricsV2.encode({ memory: { usage_limit: limit, anon: 5 } }).finish();
  expect(Metrics.MetricsV2.decode(bytes).memory).toMatchObject({ usage_limit: limit, anon: 5 });
});

test('an envelope carries its event', () => {
  const event = { type_url: 'containerd.events.TaskStart', value: Events.TaskStart.encode({ container_id: 'c', pid: 7 }).finish() };
  const envelope = { timestamp: timestamp(1500.25), namespace: 'ns', topic: '/tasks/start', event };
  const back = Events.ForwardRequest.decode(Events.ForwardRequest.encode({ envelope }).finish()).envelope;
  expect(back?.timestamp).toMatchObject({ seconds: 1, nanos: 500250000 });
  expect(Events.TaskStart.decode(back?.event?.value as Uint8Array)).toMatchObject({ container_id: 'c', pid: 7 });
});
