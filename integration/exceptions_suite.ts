/** What an application's own instruction raises: the same on every platform as under Linux (sigaction(2), Intel SDM vol. 3, ch. 6). */
import { PROT_EXEC, PROT_READ, PROT_WRITE } from '../abi/mman.ts';
import { SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGTRAP } from '../abi/signal.ts';
import { host } from '../lib/host.ts';
import { type Platform, REG, type ThreadContext, type ThreadEvents } from '../platforms/platform.ts';
import { call, code, mov } from './machine_code.ts';

const CODE = 0x40_0000;
const DATA = 0x50_0000;
const STACK = 0x60_0000;
const PAGE = 4096;
const SI_KERNEL = 0x80;
const ILL_ILLOPN = 2;
const FPE_INTDIV = 1;
const FPE_FLTDIV = 3;
const SEGV_MAPERR = 1;
const SEGV_ACCERR = 2;
const BUS_ADRALN = 1;
const TRAP_BRKPT = 1;
const TRAP_TRACE = 2;

/** Where si_addr or rip must be: an offset into the code, or an absolute address. */
type Place = { readonly code: number } | number;
interface Case {
  readonly name: string;
  readonly code: readonly number[];
  readonly signal: number;
  readonly si_code: number;
  readonly si_addr: Place;
  readonly rip: Place;
}
const at = (offset: number): Place => ({ code: offset });
const forbidden = (name: string, bytes: readonly number[], offset = 0): Case => ({
  name,
  code: bytes,
  signal: SIGSEGV,
  si_code: SI_KERNEL,
  si_addr: 0,
  rip: at(offset),
});
const undefinedCode = (name: string, bytes: readonly number[]): Case => ({
  name,
  code: bytes,
  signal: SIGILL,
  si_code: ILL_ILLOPN,
  si_addr: at(0),
  rip: at(0),
});
const LOAD_RAX = [0x48, 0x8b, 0x00];
const DX_17 = [0x66, 0xba, 0x11, 0x00];
/** pushfq; or dword [rsp], bits; popfq */
const setFlags = (bits: number): number[] => [0x9c, 0x81, 0x0c, 0x24, bits & 255, (bits >> 8) & 255, (bits >> 16) & 255, 0, 0x9d];

const CASES: readonly Case[] = [
  { name: 'div by zero', code: [0x31, 0xc9, 0xf7, 0xf1], signal: SIGFPE, si_code: FPE_INTDIV, si_addr: at(2), rip: at(2) },
  {
    name: 'fdiv by zero, unmasked',
    // finit; fldcw [DATA+16]; fld1; fldz; fdivp; fwait
    code: [0xdb, 0xe3, 0xd9, 0x2c, 0x25, 0x10, 0, 0x50, 0, 0xd9, 0xe8, 0xd9, 0xee, 0xde, 0xf9, 0x9b],
    signal: SIGFPE,
    si_code: FPE_FLTDIV,
    si_addr: at(15),
    rip: at(15),
  },
  {
    name: 'divss by zero, unmasked',
    // ldmxcsr [DATA+32]; mov eax,1.0; movd xmm0,eax; xorps xmm1,xmm1; divss xmm0,xmm1
    code: [
      0x0f, 0xae, 0x14, 0x25, 0x20, 0, 0x50, 0, 0xb8, 0, 0, 0x80, 0x3f, 0x66, 0x0f, 0x6e, 0xc0, 0x0f, 0x57, 0xc9, 0xf3, 0x0f, 0x5e, 0xc1,
    ],
    signal: SIGFPE,
    si_code: FPE_FLTDIV,
    si_addr: at(20),
    rip: at(20),
  },
  { name: 'int3', code: [0xcc], signal: SIGTRAP, si_code: SI_KERNEL, si_addr: 0, rip: at(1) },
  { name: 'int 3, long', code: [0xcd, 3], signal: SIGTRAP, si_code: SI_KERNEL, si_addr: 0, rip: at(2) },
  forbidden('int 4', [0xcd, 4], 2),
  forbidden('int 0', [0xcd, 0]),
  forbidden('int 14', [0xcd, 14]),
  forbidden('int 33', [0xcd, 33]),
  { name: 'trap flag', code: [...setFlags(0x100), 0x90, 0x90], signal: SIGTRAP, si_code: TRAP_TRACE, si_addr: at(10), rip: at(10) },
  undefinedCode('ud2', [0x0f, 0x0b]),
  undefinedCode('ud1', [0x0f, 0xb9, 0xc0]),
  undefinedCode('into', [0xce]),
  undefinedCode('lock mov', [0xf0, 0x89, 0xc0]),
  undefinedCode('rsm', [0x0f, 0xaa]),
  forbidden('hlt', [0xf4]),
  forbidden('cli', [0xfa]),
  forbidden('in imm', [0xe4, 0x11]),
  forbidden('out imm', [0xe6, 0x11]),
  forbidden('out imm, another port', [0xe6, 0x12]),
  forbidden('in dx', [...DX_17, 0xec], 4),
  forbidden('out dx, 8 bits', [...DX_17, 0xee], 4),
  forbidden('out dx, 16 bits', [...DX_17, 0x66, 0xef], 4),
  forbidden('out dx, 32 bits', [...DX_17, 0xef], 4),
  forbidden('ins', [...mov.edi(DATA), ...DX_17, 0x6c], 9),
  forbidden('outs', [...mov.esi(DATA), ...DX_17, 0x6e], 9),
  forbidden('rep ins, without end', [0x48, 0xc7, 0xc1, 0xff, 0xff, 0xff, 0xff, ...mov.edi(DATA), ...DX_17, 0xf3, 0x6c], 16),
  forbidden('rep outs', [...mov.ecx(255), ...mov.esi(DATA), ...DX_17, 0xf3, 0x6e], 14),
  forbidden('rdmsr', [0x0f, 0x32]),
  forbidden('wrmsr', [0x0f, 0x30]),
  forbidden('mov from cr0', [0x0f, 0x20, 0xc0]),
  forbidden('mov to cr3', [0x0f, 0x22, 0xd8]),
  forbidden('lgdt', [0x0f, 0x01, 0x14, 0x25, 0, 0, 0x50, 0]),
  forbidden('invlpg', [0x0f, 1, 0x38]),
  forbidden('wbinvd', [0x0f, 9]),
  forbidden('swapgs', [0x0f, 1, 0xf8]),
  forbidden('sysretq', [0x48, 0x0f, 7]),
  forbidden('xsetbv', [0x0f, 1, 0xd1]),
  forbidden('a selector that is none', [...mov.eax(0x108), 0x8e, 0xd8], 5),
  forbidden('an address that is none', [...mov.rax(0x1_0000_0000_0000), ...LOAD_RAX], 10),
  forbidden('a jump to an address that is none', [...mov.rax(0x1_0000_0000_0000), 0xff, 0xe0], 10),
  {
    name: 'a stack that is no address',
    code: [0x48, 0xbc, 0, 0, 0, 0, 0, 0, 1, 0, 0x50],
    signal: SIGBUS,
    si_code: SI_KERNEL,
    si_addr: 0,
    rip: at(10),
  },
  {
    name: 'alignment check',
    code: [...setFlags(0x40000), 0x8b, 4, 0x25, 1, 0, 0x50, 0],
    signal: SIGBUS,
    si_code: BUS_ADRALN,
    si_addr: 0,
    rip: at(9),
  },
  { name: 'a null pointer', code: [0x48, 0x8b, 4, 0x25, 16, 0, 0, 0], signal: SIGSEGV, si_code: SEGV_MAPERR, si_addr: 16, rip: at(0) },
  { name: 'a write to code', code: [0x88, 5, 0xfa, 0xff, 0xff, 0xff], signal: SIGSEGV, si_code: SEGV_ACCERR, si_addr: at(0), rip: at(0) },
  { name: 'a jump into data', code: [...mov.eax(DATA), 0xff, 0xe0], signal: SIGSEGV, si_code: SEGV_ACCERR, si_addr: DATA, rip: DATA },
  {
    name: 'an address of the kernel’s half',
    code: [0x48, 0xb8, 0, 0, 0, 0, 0, 0x80, 0xff, 0xff, ...LOAD_RAX],
    signal: SIGSEGV,
    si_code: SEGV_MAPERR,
    si_addr: 0xffff_8000_0000_0000,
    rip: at(10),
  },
];

export function exceptionsSuite(create: () => Platform): void {
  let platform: Platform;
  let seen: { signal: number; code: number; address: number } | string | null = null;
  const events: ThreadEvents = {
    syscall: () => {
      seen = 'a system call';
    },
    fault: (_thread, signal, si_code, address) => {
      seen = { signal, code: si_code, address };
    },
    interrupted: () => {
      seen = 'an interrupt';
    },
    exited: (_thread, cause) => {
      seen = cause;
    },
  };
  beforeAll(() => {
    platform = create();
  });
  afterAll(() => platform.shutdown());

  function run(bytes: readonly number[]): ThreadContext {
    const thread = platform.newAddressSpace() as ThreadContext;
    const { space } = thread;
    space.mapAnonymous(thread, CODE, PAGE, PROT_READ | PROT_EXEC);
    space.mapAnonymous(thread, DATA, PAGE, PROT_READ | PROT_WRITE);
    space.mapAnonymous(thread, STACK - PAGE, PAGE, PROT_READ | PROT_WRITE);
    const program = code([...bytes], call(77));
    space.writeForced(CODE, program, 0, program.length);
    // fcw and mxcsr with division by zero unmasked.
    space.write(DATA + 16, new Uint8Array([0x7b, 3]), 0, 2);
    space.write(DATA + 32, new Uint8Array([0x80, 0x1d]), 0, 2);
    const registers = thread.registers();
    registers.u64.fill(0n);
    registers.set(REG.rip, CODE);
    registers.set(REG.rsp, STACK - 64);
    registers.set(REG.eflags, 0x202);
    thread.setRegisters();
    seen = null;
    thread.resume();
    const end = host.monotonicNow() + 20e9;
    while (seen === null && host.monotonicNow() < end) platform.wait(events, end);
    return thread;
  }
  const absolute = (place: Place): number => (typeof place === 'number' ? place : CODE + place.code);

  test.each(CASES)('$name', ({ code: bytes, signal, si_code, si_addr, rip }) => {
    const thread = run(bytes);
    expect(seen).toEqual({ signal, code: si_code, address: absolute(si_addr) });
    expect(thread.registers().get(REG.rip)).toBe(absolute(rip));
    thread.space.release();
  });

  test('int1', () => {
    const thread = run([0xf1]);
    expect(seen).toMatchObject({ signal: SIGTRAP, code: TRAP_BRKPT });
    thread.space.release();
  });
  test('none of them spoils what comes after', () => {
    const thread = run([]);
    expect(seen).toBe('a system call');
    thread.space.release();
  });
}
