/** What first touches of memory cost on a platform, from inside: a loop of stores, timed from its start to its system call. */
import { PROT_EXEC, PROT_READ, PROT_WRITE } from '../../abi/mman.ts';
import { host } from '../../lib/host.ts';
import { type Platform, REG, type ThreadContext, type ThreadEvents } from '../../platforms/platform.ts';
import { call, code, mov } from '../machine_code.ts';

const CODE = 0x40_0000;
const DATA = 0x4000_0000;
const PAGE = 4096;
const MIB = 1 << 20;
const ROUNDS = 3;
const PATIENCE = 60e9;

/** How memory is touched: so many ranges of so many bytes, one store every `stride` bytes. */
interface Pattern {
  readonly name: string;
  readonly ranges: number;
  readonly size: number;
  readonly stride: number;
}
const PATTERNS: readonly Pattern[] = [
  { name: 'filled in order, 2 MiB pages', ranges: 1, size: 64 * MIB, stride: PAGE },
  { name: 'ranges of 1 MiB, fault-around', ranges: 32, size: MIB, stride: PAGE },
  { name: 'ranges of one page', ranges: 256, size: PAGE, stride: PAGE },
];

/** Medians, ns a page, by pattern. */
export function measureFaults(platform: Platform): Map<string, number> {
  const found = new Map<string, number>();
  for (const pattern of PATTERNS) {
    const times = Array.from({ length: ROUNDS }, () => touch(platform, pattern)).sort((a, b) => a - b);
    found.set(pattern.name, times[ROUNDS >> 1] as number);
  }
  return found;
}

function touch(platform: Platform, { ranges, size, stride }: Pattern): number {
  const thread = platform.newAddressSpace() as ThreadContext;
  thread.space.mapAnonymous(thread, CODE, PAGE, PROT_READ | PROT_EXEC);
  // mov [rbx], al; add rbx, rbp; dec ecx; jnz; syscall
  const program = code(mov.ecx((ranges * size) / stride), [0x88, 0x03, 0x48, 0x01, 0xeb, 0xff, 0xc9, 0x75, 0xf7], call(60));
  thread.space.writeForced(CODE, program, 0, program.length);
  // Ranges of several lie apart; of one page side by side there would be one range.
  const step = ranges === 1 ? stride : size === stride ? 4 * size : stride;
  for (let i = 0; i < ranges; i++)
    thread.space.mapAnonymous(thread, DATA + i * (size === stride ? step : size), size, PROT_READ | PROT_WRITE);
  thread.registers().set(REG.rip, CODE);
  thread.registers().set(REG.rbx, DATA);
  thread.registers().set(REG.rbp, step);
  thread.setRegisters();
  let done = false;
  const stop = (): void => {
    done = true;
  };
  const events: ThreadEvents = { syscall: stop, fault: stop, interrupted: stop, exited: stop };
  const start = host.monotonicNow();
  thread.resume();
  while (!done && host.monotonicNow() < start + PATIENCE) platform.wait(events, start + PATIENCE);
  const took = host.monotonicNow() - start;
  if (thread.sysno !== 60) throw new Error('the loop of stores did not come to its end');
  thread.space.release();
  return took / ((ranges * size) / stride);
}
