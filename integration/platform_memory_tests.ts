/** What every platform must do with memory. */
import { PROT_NONE, PROT_READ } from '../abi/mman.ts';
import { host } from '../lib/host.ts';
import { REG, type ThreadContext } from '../platforms/platform.ts';
import { call, mov, SYSCALL } from './machine_code.ts';
import { DATA, PAGE, type PlatformWorld, RW } from './platform_world.ts';

export function memoryTests(world: PlatformWorld): void {
  test('protect, move and advise', () => {
    const thread = world.start(call(7));
    world.nextCall();
    const { space } = thread;
    const byte = new Uint8Array([77]);
    space.write(DATA, byte, 0, 1);
    expect(space.protect(thread, DATA, PAGE, PROT_READ)).toBe(0);
    expect(space.write(DATA, byte, 0, 1)).toBe(-14);
    expect(space.writeForced(DATA + 1, byte, 0, 1)).toBe(1);
    expect(space.move(thread, DATA, PAGE, DATA + 16 * PAGE, 2 * PAGE, false)).toBe(0);
    const back = new Uint8Array(3);
    expect(space.read(DATA + 16 * PAGE, back, 0, 3)).toBe(3);
    expect([...back]).toEqual([77, 77, 0]);
    expect(space.protect(thread, DATA + 16 * PAGE, PAGE, PROT_NONE)).toBe(0);
    expect(space.read(DATA + 16 * PAGE, back, 0, 3)).toBe(-14);
    expect(space.readForced(DATA + 16 * PAGE, back, 0, 2)).toBe(2);
    expect(space.protect(thread, DATA + 16 * PAGE, PAGE, RW)).toBe(0);
    expect(space.advise(thread, DATA + 16 * PAGE, PAGE, 4 /* MADV_DONTNEED */)).toBe(0);
    expect(space.read(DATA + 16 * PAGE, back, 0, 3)).toBe(3);
    expect([...back]).toEqual([0, 0, 0]);
    space.release();
  });

  test('a bit is set', () => {
    const thread = world.start(call(7));
    world.nextCall();
    const word = new Uint8Array([1, 2, 3, 4]);
    thread.space.write(DATA, word, 0, 4);
    expect(thread.space.setBit?.(thread, DATA, 31)).toBe(0);
    thread.space.read(DATA, word, 0, 4);
    expect([...word]).toEqual([1, 2, 3, 0x84]);
    expect(thread.space.setBit?.(thread, 0x7000_0000, 31)).toBe(-14);
    thread.space.release();
  });

  test('a read stops at the first hole', () => {
    const thread = world.start(call(7));
    world.nextCall();
    expect(thread.space.read(DATA + PAGE - 10, new Uint8Array(100), 0, 100)).toBe(10);
    thread.space.release();
  });

  test('nothing outside the range can be mapped or unmapped', () => {
    const thread = world.start(call(7));
    world.nextCall();
    const { space } = thread;
    for (const address of [world.platform.maxAddress, world.platform.maxAddress - PAGE, 0, 0x7fff_ffff_f000, 2 ** 52, -PAGE]) {
      expect(space.unmap(thread, address, 2 * PAGE)).toBe(-22);
      expect(space.mapAnonymous(thread, address, 2 * PAGE, RW)).toBe(-22);
      expect(space.protect(thread, address, 2 * PAGE, RW)).toBe(-22);
      expect(space.advise(thread, address, 2 * PAGE, 4)).toBe(-22);
      expect(space.move(thread, DATA, PAGE, address, 2 * PAGE, false)).toBe(-22);
    }
    space.release();
  });

  test('file mappings: private does not reach the file, shared does', () => {
    const fd = host.memfdCreate('mapped', 1);
    host.ftruncate(fd, 2 * PAGE);
    host.pwrite(fd, new Uint8Array([5]), 0, 1, PAGE);
    const thread = world.start(mov.eax(7), SYSCALL, mov.rbx(DATA + PAGE), mov.atRbxFromRax, mov.eax(8), SYSCALL);
    world.nextCall();
    const { space } = thread;
    expect(space.mapFile(thread, DATA + PAGE, PAGE, RW, true, fd, PAGE)).toBe(0);
    expect(space.mapFile(thread, DATA + 2 * PAGE, PAGE, RW, false, fd, PAGE)).toBe(0);
    thread.resumeWithResult(66);
    world.nextCall();
    const byte = new Uint8Array(1);
    host.pread(fd, byte, 0, 1, PAGE);
    expect(byte[0]).toBe(66);
    space.write(DATA + 2 * PAGE, new Uint8Array([9]), 0, 1);
    host.pread(fd, byte, 0, 1, PAGE);
    expect(byte[0]).toBe(66);
    expect(space.mapFile(thread, DATA + 3 * PAGE, PAGE, RW, true, 9999, 0)).toBe(-9);
    space.release();
    host.close(fd);
  });

  test('a mapping needs no more than the descriptor gives', () => {
    const rw = host.memfdCreate('mapped', 1);
    host.ftruncate(rw, PAGE);
    const fd = host.openat(-100, `/proc/self/fd/${rw}`, 0);
    const thread = world.start(call(7));
    world.nextCall();
    expect(thread.space.mapFile(thread, DATA + PAGE, PAGE, RW, true, fd, 0)).toBe(-13);
    expect(thread.space.mapFile(thread, DATA + PAGE, PAGE, RW, false, fd, 0)).toBe(0);
    thread.space.release();
    host.close(fd);
    host.close(rw);
  });

  test('fork copies on write', () => {
    const parent = world.start(mov.eax(7), SYSCALL, mov.rdiFromAtRbx, mov.eax(8), SYSCALL);
    world.nextCall();
    parent.space.write(DATA, new Uint8Array([1]), 0, 1);
    const child = parent.space.fork(parent) as ThreadContext;
    expect(typeof child).toBe('object');
    expect(child.space === parent.space).toBe(false);
    expect(child.sysno).toBe(7);
    child.space.write(DATA, new Uint8Array([2]), 0, 1);
    for (const [thread, value] of [
      [parent, 1],
      [child, 2],
    ] as const) {
      thread.registers().set(REG.rbx, DATA);
      thread.setRegisters();
      thread.resume();
      const event = world.nextCall();
      expect(event.thread === thread).toBe(true);
      expect(event).toMatchObject({ sysno: 8, args: [value, 0, 0, 0, 0, 0] });
    }
    parent.space.release();
    child.resumeWithResult(0);
    world.expectStop(world.next(), child, { kind: 'fault' });
    child.space.release();
  });

  test('threads share memory and stop one by one', () => {
    const first = world.start(mov.eax(7), SYSCALL, mov.rbx(DATA), mov.atRbxFromRax, mov.rdiFromAtRbx, mov.eax(8), SYSCALL);
    world.nextCall();
    const second = first.space.newThread(first) as ThreadContext;
    expect(second.space === first.space).toBe(true);
    second.resumeWithResult(3);
    world.expectStop(world.nextCall(), second, { sysno: 8, args: [3, 0, 0, 0, 0, 0] });
    const seen = new Uint8Array(1);
    first.space.read(DATA, seen, 0, 1);
    expect(seen[0]).toBe(3);
    second.exit();
    first.resumeWithResult(4);
    world.expectStop(world.nextCall(), first, { args: [4, 0, 0, 0, 0, 0] });
    first.space.release();
  });

  test('what one thread unmaps does not hit what another maps there', () => {
    const first = world.start(call(7), call(8));
    world.nextCall();
    const second = first.space.newThread(first) as ThreadContext;
    const { space } = first;
    space.mapAnonymous(first, DATA + PAGE, PAGE, RW);
    expect(space.unmap(first, DATA + PAGE, PAGE)).toBe(0);
    expect(space.mapAnonymous(second, DATA + PAGE, PAGE, RW)).toBe(0);
    second.resumeWithResult(0);
    world.expectStop(world.nextCall(), second, { sysno: 8 });
    first.resumeWithResult(0);
    world.expectStop(world.nextCall(), first, { sysno: 8 });
    expect(space.write(DATA + PAGE, new Uint8Array([1]), 0, 1)).toBe(1);
    space.release();
  });
}
