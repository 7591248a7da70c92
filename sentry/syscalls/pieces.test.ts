import { EFAULT } from '../../abi/errno.ts';
import { FakeMachine } from '../testing/fake_task.ts';
import { FileDescription, PositionedFile } from '../vfs/file.ts';
import { BufferIo, type Sink } from '../vfs/io.ts';
import { PIECE } from './pieces.ts';
import { positionedRead, readInto } from './sys_readwrite.ts';

const ZEROS = new Uint8Array(64);

/** A file of `length` bytes that says how much it was asked for at once; behind `broken` it fails. */
class Watched extends PositionedFile {
  readonly asked: [offset: number, count: number][] = [];
  private readonly length: number;
  private readonly broken: number;
  constructor(length: number, broken = Number.POSITIVE_INFINITY) {
    super();
    this.length = length;
    this.broken = broken;
  }
  size(): number {
    return this.length;
  }
  override pread(dst: Sink, offset: number): number {
    const count = Math.min(dst.remaining, this.length - offset);
    this.asked.push([offset, dst.remaining]);
    if (offset >= this.broken) return EFAULT;
    for (let left = count; left > 0; ) left -= dst.put(ZEROS, 0, Math.min(left, 64));
    return count;
  }
}

function read(file: Watched, wanted: number) {
  const machine = new FakeMachine();
  const task = machine.process();
  const open = new FileDescription(file, 0);
  const first = machine.start(task, readInto(task, open, new BufferIo(new Uint8Array(wanted))));
  return { result: first ?? machine.result(task), position: open.position, waited: first === null };
}

test('what fits into a piece is read at once', () => {
  const file = new Watched(2 * PIECE);
  expect(read(file, PIECE)).toEqual({ result: PIECE, position: PIECE, waited: false });
  expect(file.asked).toEqual([[0, PIECE]]);
});
test('what does not is read in pieces, while others run', () => {
  const file = new Watched(4 * PIECE);
  expect(read(file, 2 * PIECE + 5)).toEqual({ result: 2 * PIECE + 5, position: 2 * PIECE + 5, waited: true });
  expect(file.asked).toEqual([
    [0, PIECE],
    [PIECE, PIECE],
    [2 * PIECE, 5],
  ]);
});
test('a piece that is short is the last one', () => {
  const file = new Watched(PIECE + 3);
  expect(read(file, 4 * PIECE).result).toBe(PIECE + 3);
  expect(file.asked.length).toBe(2);
});
test('an error is told if it comes first, and cuts what came before it otherwise', () => {
  expect(read(new Watched(4 * PIECE, 0), 3 * PIECE).result).toBe(EFAULT);
  expect(read(new Watched(4 * PIECE, PIECE), 3 * PIECE).result).toBe(PIECE);
});
test('with an offset the position stays', () => {
  const machine = new FakeMachine();
  const task = machine.process();
  const file = new Watched(4 * PIECE);
  const open = new FileDescription(file, 0);
  expect(machine.start(task, positionedRead(task, open, new BufferIo(new Uint8Array(2 * PIECE)), 10))).toBeNull();
  expect(machine.result(task)).toBe(2 * PIECE);
  expect([open.position, file.asked]).toEqual([
    0,
    [
      [10, PIECE],
      [10 + PIECE, PIECE],
    ],
  ]);
});
