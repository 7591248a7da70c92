import { EFAULT } from '../../abi/errno.ts';
import { CallMemory, type ProcessMemory } from './call_memory.ts';
import {
  DATA_SIZE,
  IN_ROOM,
  M_LENGTH,
  M_OFFSET,
  PIECE_WORDS,
  REPLY_WRITE,
  ROOM_SIZE,
  SLOT_SIZE,
  SLOT_WORDS,
  setWords,
  W_DATA,
  W_GATHERED,
  W_MEMORY,
  W_OWN_ROOM,
  W_WRITTEN,
} from './layout.ts';

const AT = SLOT_WORDS;
const IN = 0x10_0000;
const OUT = 0x20_0000;
/** Memory that is the application's own, and where the room is in the rooms. */
const LARGE = 0x4000_0000;
const ROOM_AT = 4096;

/** Three slots, of which the middle one is the thread's; process memory that says of what it was asked. */
function setUp() {
  const bytes = new Uint8Array(3 * SLOT_SIZE);
  const words = new Int32Array(bytes.buffer);
  const room = new Uint8Array(ROOM_AT + ROOM_SIZE);
  const asked: string[] = [];
  const process: ProcessMemory = {
    read: (address, _into, _offset, count) => {
      asked.push(`read ${address.toString(16)} ${count}`);
      return count;
    },
    write: (address, _from, _offset, count) => {
      asked.push(`write ${address.toString(16)} ${count}`);
      return count;
    },
    writeNow: (address, from, offset, count) => {
      asked.push(`now ${address.toString(16)} ${[...from.subarray(offset, offset + count)]}`);
      return address >= OUT + 64 ? EFAULT : count;
    },
    writing: () => asked.push('waits'),
    written: () => asked.push('done'),
    takeRoom: (_memory, address, count) => (address >= LARGE && address + count <= LARGE + 2 * ROOM_SIZE ? ROOM_AT : -1),
    mayWriteLate: (address, count) => address >= LARGE && address + count <= LARGE + 2 * ROOM_SIZE,
    room: { window: { bytes: room, address: 0x7000_0000 }, place: ROOM_AT, take: () => ROOM_AT },
    threaded: false,
  };
  const memory = new CallMemory(process, { words, bytes, address: 0x5000_0000 }, AT);
  const piece = (i: number, address: number, length: number): void => {
    setWords(words, AT + W_MEMORY + i * PIECE_WORDS, address);
    words[AT + W_MEMORY + i * PIECE_WORDS + M_LENGTH] = length;
    words[AT + W_GATHERED] = 1;
  };
  const fill = (offset: number, ...values: number[]): void => bytes.set(values, (AT + W_DATA) * 4 + offset);
  return { bytes, words, room, asked, memory, piece, fill, process };
}
const take = (memory: CallMemory, address: number, count: number): number[] => {
  const into = new Uint8Array(count);
  const n = memory.read(address, into, 0, count);
  return n === count ? [...into] : [];
};

test('what came with the call is read from the slot, the rest from the process', () => {
  const { memory, piece, fill, asked } = setUp();
  piece(0, IN, 5);
  piece(1, IN + 100, 3);
  fill(0, 1, 2, 3, 4, 5, 0, 0, 0, 6, 7, 8);
  memory.begin();
  expect(take(memory, IN, 5)).toEqual([1, 2, 3, 4, 5]);
  expect(take(memory, IN + 2, 2)).toEqual([3, 4]);
  expect(take(memory, IN + 100, 3)).toEqual([6, 7, 8]);
  expect(asked).toEqual([]);
  take(memory, IN + 2, 4);
  take(memory, IN - 1, 2);
  expect(asked).toEqual(['read 100002 4', 'read fffff 2']);
});

test('once the call has been looked at, and once it has written, memory itself is read', () => {
  const { memory, piece, asked } = setUp();
  piece(0, IN, 8);
  piece(2, OUT, 8);
  memory.begin();
  memory.settle(false);
  take(memory, IN, 8);
  memory.begin();
  memory.write(OUT, new Uint8Array(8), 0, 8);
  take(memory, IN, 8);
  expect(asked).toEqual(['read 100000 8', 'waits', 'read 100000 8']);
});

test('of a call that was not gathered the slot says nothing', () => {
  const { memory, piece, asked, words } = setUp();
  piece(0, IN, 8);
  words[AT + W_GATHERED] = 0;
  memory.begin();
  take(memory, IN, 8);
  expect(asked).toEqual(['read 100000 8']);
});

test('writes wait for the reply, which names them', () => {
  const { memory, piece, asked, words, bytes } = setUp();
  piece(0, IN, 5);
  piece(2, OUT, 16);
  memory.begin();
  expect(memory.write(OUT + 4, Uint8Array.of(0, 1, 2, 3), 1, 2)).toBe(2);
  expect(memory.write(OUT + 6, Uint8Array.of(9), 0, 1)).toBe(1);
  expect(memory.end()).toBe(REPLY_WRITE);
  const w = AT + W_WRITTEN;
  expect([words[w], words[w + M_LENGTH], words[w + M_OFFSET]]).toEqual([OUT + 4, 3, 12]);
  expect(words[w + PIECE_WORDS + M_LENGTH]).toBe(0);
  expect([...bytes.subarray((AT + W_DATA) * 4 + 12, (AT + W_DATA) * 4 + 15)]).toEqual([1, 2, 9]);
  expect(asked).toEqual(['waits', 'done']);
  expect(memory.end()).toBe(0);
});

test('a write that leaves a gap, or does not fit, is the process’s', () => {
  const { memory, piece, asked } = setUp();
  piece(2, OUT, 16);
  memory.begin();
  memory.write(OUT, new Uint8Array(2), 0, 2);
  memory.write(OUT + 8, new Uint8Array(2), 0, 2);
  memory.write(OUT + 2, new Uint8Array(20), 0, 20);
  expect(asked).toEqual(['waits', 'write 200008 2', 'write 200002 20']);
});

test('who looks at the memory has waiting writes done first; one that fails then is the call’s error', () => {
  const { memory, piece, asked } = setUp();
  piece(2, OUT, 16);
  piece(3, OUT + 64, 16);
  memory.begin();
  memory.write(OUT, Uint8Array.of(7, 8), 0, 2);
  memory.complete();
  expect(asked).toEqual(['waits', 'done', 'now 200000 7,8']);
  expect(memory.failure).toBe(0);
  memory.write(OUT + 64, Uint8Array.of(1), 0, 1);
  memory.complete();
  expect(memory.failure).toBe(EFAULT);
  expect(memory.end()).toBe(0);
  memory.begin();
  expect(memory.failure).toBe(0);
});

test('a call that waits beside other threads writes to the process: they may have unmapped the place', () => {
  const { memory, piece, asked } = setUp();
  piece(2, OUT, 16);
  memory.begin();
  memory.settle(true);
  memory.write(OUT, new Uint8Array(4), 0, 4);
  expect(asked).toEqual(['write 200000 4']);
});

test('a slot that lies reaches no byte outside of its data', () => {
  for (const lengths of [
    [-1, -1, -1, -1],
    [DATA_SIZE + 1, 0, DATA_SIZE, 8],
    [8, DATA_SIZE, DATA_SIZE - 4, DATA_SIZE],
    [DATA_SIZE - 1, 0, 8, 0x7fff_ffff],
  ]) {
    const { memory, piece, bytes } = setUp();
    const data = (AT + W_DATA) * 4;
    bytes.fill(0xee);
    bytes.fill(0x11, data, data + DATA_SIZE);
    lengths.forEach((length, i) => {
      piece(i, IN, length);
    });
    memory.begin();
    for (const [at, count] of [
      [0, 8],
      [DATA_SIZE - 8, 8],
      [0, DATA_SIZE],
      [4, DATA_SIZE],
      [DATA_SIZE, 1],
    ] as const) {
      expect(take(memory, IN + at, count)).not.toContain(0xee);
      memory.begin();
      memory.write(IN + at, new Uint8Array(count).fill(0x22), 0, count);
    }
    memory.end();
    const outside = bytes.filter((byte, i) => byte === 0x22 && (i < data || i >= data + DATA_SIZE));
    expect(outside.length).toBe(0);
  }
});

test('large results go to the room, one behind the other, beside what is in the slot', () => {
  const { memory, piece, asked, words, room } = setUp();
  piece(2, OUT, 16);
  memory.begin();
  expect(memory.write(LARGE, new Uint8Array(2000).fill(1), 0, 2000)).toBe(2000);
  expect(memory.usesRoom).toBe(true);
  expect(memory.write(LARGE + 2000, new Uint8Array(3000).fill(2), 1000, 1500)).toBe(1500);
  memory.write(OUT, Uint8Array.of(7), 0, 1);
  expect([room[ROOM_AT - 1], room[ROOM_AT], room[ROOM_AT + 1999], room[ROOM_AT + 2000], room[ROOM_AT + 3499]]).toEqual([0, 1, 1, 2, 2]);
  expect(memory.end()).toBe(REPLY_WRITE);
  const w = AT + W_WRITTEN;
  expect([words[w], words[w + M_LENGTH], words[w + M_OFFSET]]).toEqual([OUT, 1, 0]);
  const large = w + PIECE_WORDS;
  expect([words[large], words[large + M_LENGTH], words[large + M_OFFSET]]).toEqual([LARGE, 3500, IN_ROOM]);
  expect(asked).toEqual(['waits', 'done']);
  expect(memory.usesRoom).toBe(true); // until the thread has stopped again
  memory.begin();
  expect(memory.usesRoom).toBe(false);
  expect(memory.end()).toBe(0);
});

test('a host call is sent to the slot or the room; what did not come is not told', () => {
  const { memory, piece, words } = setUp();
  piece(2, OUT, 16);
  memory.begin();
  expect(memory.room(OUT, 16)).toBe(0x5000_0000 + (AT + W_DATA) * 4);
  memory.filled(5);
  memory.end();
  const w = AT + W_WRITTEN;
  expect([words[w], words[w + M_LENGTH], words[w + M_OFFSET]]).toEqual([OUT, 5, 0]);
  memory.begin();
  expect(memory.room(LARGE, ROOM_SIZE + 1)).toBe(0);
  expect(memory.room(OUT, 4096)).toBe(0); // not the application's own
  expect(memory.room(LARGE, ROOM_SIZE)).toBe(0x7000_0000 + ROOM_AT);
  expect(memory.end()).toBe(0); // nothing came
  memory.begin();
  expect(memory.room(LARGE, 8192)).toBe(0x7000_0000 + ROOM_AT);
  memory.filled(4096);
  expect(memory.room(LARGE + 4096, 4096)).toBe(0x7000_0000 + ROOM_AT + 4096);
  memory.filled(4096);
  expect(memory.room(LARGE + 4096, ROOM_SIZE)).toBe(0); // that would be a gap, and too much
  memory.end();
  expect([words[w], words[w + M_LENGTH], words[w + M_OFFSET]]).toEqual([LARGE, 8192, IN_ROOM]);
  expect(memory.room(LARGE, 10)).toBe(0); // the thread runs
});

test('who looks at the memory has large results written first', () => {
  const { memory, asked } = setUp();
  memory.begin();
  memory.write(LARGE, new Uint8Array(600), 0, 600);
  memory.complete();
  expect(asked.map((line) => line.slice(0, 12))).toEqual(['waits', 'done', 'now 40000000']);
  expect(memory.usesRoom).toBe(false);
  expect(memory.failure).toBe(EFAULT); // this process refuses all above
  expect(memory.end()).toBe(0);
});

test('what a call writes may lie in the room, if that is the thread’s own', () => {
  for (const threaded of [false, true]) {
    const { memory, piece, asked, words, room, process } = setUp();
    (process as { threaded: boolean }).threaded = threaded;
    memory.end();
    expect(words[AT + W_OWN_ROOM]).toBe(threaded ? 0 : 1);
    room.fill(9, ROOM_AT, ROOM_AT + 10_000);
    piece(0, LARGE, 10_000);
    words[AT + W_MEMORY + M_OFFSET] = IN_ROOM;
    piece(1, IN, 8);
    memory.begin();
    expect(memory.given(LARGE + 100, 9900)).toBe(threaded ? 0 : 0x7000_0000 + ROOM_AT + 100);
    expect(memory.given(LARGE + 100, 9901)).toBe(0);
    expect(memory.given(IN, 8)).toBe(0);
    const bytes = take(memory, LARGE, 10_000);
    if (!threaded) expect(bytes.every((byte) => byte === 9)).toBe(true);
    expect(asked).toEqual(threaded ? [`read ${LARGE.toString(16)} 10000`] : []);
    memory.settle(false);
    expect(memory.given(LARGE, 10)).toBe(0);
  }
});

test('a slot that lies about the room reaches no byte outside of it', () => {
  const { memory, piece, asked, words } = setUp();
  for (const [length, offset] of [
    [ROOM_SIZE + 1, IN_ROOM],
    [-1, IN_ROOM],
    [10_000, IN_ROOM + 8],
  ] as const) {
    piece(0, LARGE, length);
    words[AT + W_MEMORY + M_OFFSET] = offset;
    memory.begin();
    expect(memory.given(LARGE, 8)).toBe(0);
    take(memory, LARGE, 10_000);
  }
  expect(asked.length).toBe(3);
});
