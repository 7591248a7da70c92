import { host } from '../../lib/host.ts';
import type { CallMemory } from './call_memory.ts';
import { CallRoom, RoomWindow } from './call_room.ts';
import { FIRST_ROOM_SLOT, ROOM_SIZE, SLOT_SIZE, SLOTS_LENGTH } from './layout.ts';

function memfd(): number {
  const fd = host.memfdCreate('slots', 1);
  host.ftruncate(fd, SLOTS_LENGTH);
  return fd;
}
/** The room that `owner` gets after it has had several large results. */
function taken(room: CallRoom, owner: CallMemory): number {
  for (let i = 0; i < 3; i++) room.take(owner);
  return room.take(owner);
}

test('a process gets room with its fourth large result, and the window shows it', () => {
  const window = new RoomWindow();
  const fd = memfd();
  const room = new CallRoom(window, fd);
  const owner = { usesRoom: false } as CallMemory;
  expect([1, 2, 3].map(() => room.take(owner))).toEqual([-1, -1, -1]);
  const at = room.take(owner);
  expect(at).toBeGreaterThanOrEqual(0);
  window.bytes[at + ROOM_SIZE - 1] = 7;
  const bytes = new Uint8Array(1);
  host.pread(fd, bytes, 0, 1, FIRST_ROOM_SLOT * SLOT_SIZE + ROOM_SIZE - 1);
  expect(bytes[0]).toBe(7);
  room.release();
  expect(window.bytes[at + ROOM_SIZE - 1]).toBe(0);
  host.close(fd);
});

test('one thread at a time; only so many processes', () => {
  const window = new RoomWindow();
  const fd = memfd();
  const room = new CallRoom(window, fd);
  const owner = { usesRoom: true } as CallMemory;
  const other = { usesRoom: false } as CallMemory;
  const at = taken(room, owner);
  expect(room.take(other)).toBe(-1);
  expect(room.take(owner)).toBe(at);
  (owner as { usesRoom: boolean }).usesRoom = false;
  expect(room.take(other)).toBe(at);
  const rooms = Array.from({ length: 40 }, () => new CallRoom(window, fd));
  const places = rooms.map((r) => taken(r, other));
  const got = places.filter((place) => place >= 0);
  expect([got.length, new Set([...got, at]).size]).toEqual([31, 32]);
  room.release();
  expect(taken(rooms[39] as CallRoom, other)).toBe(at);
  for (const r of rooms) r.release();
  host.close(fd);
});
