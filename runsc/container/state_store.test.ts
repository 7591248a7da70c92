import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { StateStore, type StoredState } from './state_store.ts';

let root: string;
let store: StateStore;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'store-'));
  store = new StateStore(root);
});
afterEach(() => rmSync(root, { recursive: true }));

const state = (id: string) => ({ version: 1, id, sandboxId: id, status: 'created' }) as StoredState;

test('an id is reserved once, written, read, removed', () => {
  store.reserve('a');
  expect(() => store.reserve('a')).toThrow('container with id exists: a');
  expect(() => store.read('a')).toThrow('"a" does not exist');
  store.write(state('a'));
  expect(store.read('a')).toEqual(state('a'));
  expect(readdirSync(store.folder('a'))).toEqual(['state.json']);
  expect(store.ids()).toEqual(['a']);
  store.remove('a');
  store.remove('a');
  expect(store.ids()).toEqual([]);
});

test('a damaged file is named', () => {
  store.reserve('a');
  writeFileSync(join(store.folder('a'), 'state.json'), '{"version":1,"id":"b"}');
  expect(() => store.read('a')).toThrow('state.json is damaged: version 1, id b');
});

test('one command at a time works on a container', async () => {
  store.reserve('a');
  const order: string[] = [];
  const turn = () => new Promise((r) => setImmediate(r));
  const first = store.locked('a', async () => {
    order.push('first');
    await turn();
    order.push('first ends');
  });
  await Promise.all([first, store.locked('a', async () => void order.push('second'))]);
  expect(order).toEqual(['first', 'first ends', 'second']);
  await expect(store.locked('b', async () => {})).rejects.toThrow('does not exist');
});
