/** ptrace(2) calls on stopped threads, by name. All must come from the thread that attached (the kernel thread). */
import type { Host } from '../../lib/host.ts';
import {
  HOST_CALL,
  NT_X86_XSTATE,
  PTRACE_GETREGS,
  PTRACE_GETREGSET,
  PTRACE_INTERRUPT,
  PTRACE_SETREGS,
  PTRACE_SETREGSET,
} from './requests.ts';

/** More than any XSAVE area (AVX-512 2.7 KiB, with AMX 11 KiB). */
const MAX_XSTATE = 16384;

export class Tracer {
  readonly host: Host;
  private readonly xstateScratch = new Uint8Array(MAX_XSTATE);
  private readonly iovec = new BigUint64Array(2);

  constructor(host: Host) {
    this.host = host;
  }
  getRegisters(pid: number, into: BigUint64Array): number {
    return this.host.syscall(HOST_CALL.ptrace, PTRACE_GETREGS, pid, 0, into);
  }
  setRegisters(pid: number, from: BigUint64Array): number {
    return this.host.syscall(HOST_CALL.ptrace, PTRACE_SETREGS, pid, 0, from);
  }
  interrupt(pid: number): void {
    this.host.syscall(HOST_CALL.ptrace, PTRACE_INTERRUPT, pid, 0, 0);
  }
  /** A copy of the thread's XSAVE area; empty if the thread is gone. */
  getXstate(pid: number): Uint8Array {
    const r = this.regset(PTRACE_GETREGSET, pid, this.xstateScratch);
    return this.xstateScratch.slice(0, r < 0 ? 0 : Number(this.iovec[1]));
  }
  /** 0, or an errno: the host checks the image and takes all of it or nothing. */
  setXstate(pid: number, image: Uint8Array): number {
    return this.regset(PTRACE_SETREGSET, pid, image);
  }
  private regset(request: number, pid: number, area: Uint8Array): number {
    this.iovec[0] = BigInt(this.host.addressOf(area));
    this.iovec[1] = BigInt(area.length);
    return this.host.syscall(HOST_CALL.ptrace, request, pid, NT_X86_XSTATE, this.iovec);
  }
}

/** struct fxregs_state and the XSAVE header behind it (Intel SDM vol. 1, ch. 13). */
const FCW = 0;
const MXCSR = 24;
const XSTATE_BV = 512;
const XCOMP_BV = 520;

/** Turns an XSAVE image into the state that a process starts with: x87 and SSE controls at their defaults, all else initial. */
export function clearXstate(image: Uint8Array): void {
  const view = new DataView(image.buffer, image.byteOffset, image.byteLength);
  // Bytes 464..511 are software's: the kernel keeps the enabled features there.
  image.fill(0, 0, 464);
  image.fill(0, XSTATE_BV);
  view.setUint16(FCW, 0x37f, true);
  view.setUint32(MXCSR, 0x1f80, true);
  view.setUint32(XSTATE_BV, 3, true); // x87 and SSE are taken from the image
  view.setUint32(XCOMP_BV, 0, true);
}
