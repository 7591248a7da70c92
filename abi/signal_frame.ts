/** struct rt_sigframe of x86-64: what a signal handler finds on its stack, and what rt_sigreturn(2) reads back. */
import { bytes, len64, pad, struct, u16, u32, u64 } from './struct.ts';

/** stack_t (sigaltstack(2)). */
export const StackT = struct('stack_t', 24, { ss_sp: len64, ss_flags: u32, __pad: pad(4), ss_size: len64 });

/** struct sigcontext: general registers bit for bit; `fpstate` is an address, 0 = none. */
export const SigContext = struct('sigcontext', 256, {
  r8: u64,
  r9: u64,
  r10: u64,
  r11: u64,
  r12: u64,
  r13: u64,
  r14: u64,
  r15: u64,
  rdi: u64,
  rsi: u64,
  rbp: u64,
  rbx: u64,
  rdx: u64,
  rax: u64,
  rcx: u64,
  rsp: u64,
  rip: u64,
  eflags: u64,
  cs: u16,
  gs: u16,
  fs: u16,
  ss: u16,
  err: u64,
  trapno: u64,
  oldmask: u64,
  cr2: u64,
  fpstate: len64,
  __reserved1: pad(64),
});

export const UContext = struct('ucontext', 304, {
  uc_flags: u64,
  uc_link: u64,
  uc_stack: StackT,
  uc_mcontext: SigContext,
  uc_sigmask: u64,
});

export const SIGINFO_SIZE = 128;
export const RtSigframe = struct('rt_sigframe', 440, { pretcode: len64, uc: UContext, info: bytes(SIGINFO_SIZE) });

/** struct sigaction as rt_sigaction(2) takes it (not glibc's). */
export const KernelSigaction = struct('sigaction', 32, { handler: len64, sa_flags: u64, restorer: len64, mask: u64 });

/** The XSAVE image: FXSAVE area, with struct _fpx_sw_bytes in the part that is left to software, then the header. */
export const FXSAVE_SIZE = 512;
export const FPX_SW_BYTES_OFFSET = 464;
export const XSAVE_HEADER_OFFSET = 512;
/** FXSAVE area and header: the least that is an XSAVE image. */
export const XSAVE_MIN_SIZE = 576;
export const FpxSwBytes = struct('_fpx_sw_bytes', 48, {
  magic1: u32,
  extended_size: u32,
  xfeatures: u64,
  xstate_size: u32,
  __padding: pad(28),
});
