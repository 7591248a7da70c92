import { FakeMachine } from '../../testing/fake_task.ts';
import { FileDescription } from '../../vfs/file.ts';
import { BufferIo } from '../../vfs/io.ts';
import { GeneratedFile, type GeneratedInode } from './file.ts';

/** An open file in parts of ten bytes; how many have been made. */
function opened(count: number) {
  const machine = new FakeMachine();
  const task = machine.process();
  const made: number[] = [];
  function* parts(): Generator<string, void> {
    for (let i = 0; i < count; i++) {
      made.push(i);
      yield String(i).padStart(9, ' ').concat('\n');
    }
  }
  const file = new GeneratedFile({ generate: parts } as unknown as GeneratedInode);
  const description = new FileDescription(file, 0);
  const read = (offset: number, length = 100): string => {
    const bytes = new Uint8Array(length);
    const first = machine.start(task, file.pread(new BufferIo(bytes), offset, description, task));
    const n = first ?? machine.result(task) ?? Number.NaN;
    return Buffer.from(bytes.subarray(0, n)).toString('latin1');
  };
  return { read, made };
}

test('parts are made as they are read', () => {
  const { read, made } = opened(4);
  let text = '';
  for (let piece = read(0, 7); piece !== ''; piece = read(text.length, 7)) text += piece;
  expect(text).toBe(['0', '1', '2', '3'].map((i) => i.padStart(9, ' ').concat('\n')).join(''));
  expect(made).toEqual([0, 1, 2, 3]);
});
test('a read goes no farther than its part', () => {
  const { read, made } = opened(4);
  expect(read(5)).toBe('    0\n'.slice(1));
  expect(made).toEqual([0]);
});
test('who seeks gets there, and back to what is made anew', () => {
  const { read, made } = opened(1000);
  expect(read(9990)).toBe('      999\n');
  expect(read(10_000)).toBe('');
  expect(made.length).toBe(1000);
  expect(read(10)).toBe('        1\n');
  expect(made.slice(1000)).toEqual([0, 1]);
});
