/** siginfo_t, x86-64 (sigaction(2)): 128 bytes; which half of the union counts follows from code and signal. */
import {
  SI_ASYNCIO,
  SI_MESGQ,
  SI_QUEUE,
  SI_SIGIO,
  SI_TIMER,
  SIGBUS,
  SIGCHLD,
  SIGFPE,
  SIGILL,
  SIGIO,
  SIGSEGV,
  SIGSYS,
  SIGTRAP,
} from '../../abi/signal.ts';
import { SIGINFO_SIZE } from '../../abi/signal_frame.ts';
import { setLen64 } from '../../abi/struct.ts';
import type { SignalInfo } from './signal_state.ts';

/** The last of sigaction(2)'s codes for SIGIO. */
const POLL_HUP = 6;

type Layout = 'kill' | 'queue' | 'timer' | 'child' | 'fault' | 'poll' | 'sys';

/** Kernel codes (> 0, below SI_KERNEL) mean what their signal says. */
function layoutOf({ signal, code }: SignalInfo): Layout {
  if (code === SI_TIMER) return 'timer';
  if (code === SI_SIGIO) return 'poll';
  if (code === SI_QUEUE || code === SI_MESGQ || code === SI_ASYNCIO) return 'queue';
  if (code <= 0 || code >= 0x80) return 'kill';
  if (signal === SIGCHLD) return 'child';
  if (signal === SIGSYS) return 'sys';
  if (signal === SIGIO) return 'poll';
  if (signal === SIGSEGV || signal === SIGBUS || signal === SIGFPE || signal === SIGILL || signal === SIGTRAP) return 'fault';
  // F_SETSIG chose another signal for readiness.
  return code <= POLL_HUP ? 'poll' : 'kill';
}

export function encodeSignalInfo(info: SignalInfo): Uint8Array {
  if (info.raw !== undefined) return info.raw;
  const out = new Uint8Array(SIGINFO_SIZE);
  const view = new DataView(out.buffer);
  view.setInt32(0, info.signal, true);
  view.setInt32(4, info.errno ?? 0, true);
  view.setInt32(8, info.code, true);
  fill(view, info, layoutOf(info));
  return out;
}

function fill(view: DataView, info: SignalInfo, layout: Layout): void {
  switch (layout) {
    case 'kill':
    case 'queue':
    case 'child':
      view.setInt32(16, info.pid ?? 0, true);
      view.setUint32(20, info.uid ?? 0, true);
      if (layout === 'queue') view.setBigUint64(24, info.value ?? 0n, true);
      if (layout !== 'child') return;
      view.setInt32(24, info.status ?? 0, true);
      setLen64(view, 32, info.utime ?? 0);
      setLen64(view, 40, info.stime ?? 0);
      return;
    case 'timer':
      view.setInt32(16, info.timerId ?? 0, true);
      view.setInt32(20, info.overrun ?? 0, true);
      view.setBigUint64(24, info.value ?? 0n, true);
      return;
    case 'fault':
      setLen64(view, 16, info.address ?? 0);
      return;
    case 'poll':
      setLen64(view, 16, info.band ?? 0);
      view.setInt32(24, info.fd ?? 0, true);
      return;
    case 'sys':
      setLen64(view, 16, info.callAddress ?? 0);
      view.setInt32(24, info.syscall ?? 0, true);
      view.setUint32(28, info.arch ?? 0, true);
      return;
  }
}

/** What rt_sigqueueinfo(2) was given, to be delivered as it is. `bytes`: 128, the caller's no more. */
export function rawSignalInfo(signal: number, bytes: Uint8Array): SignalInfo {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  view.setInt32(0, signal, true);
  return {
    signal,
    code: view.getInt32(8, true),
    errno: view.getInt32(4, true),
    pid: view.getInt32(16, true),
    uid: view.getUint32(20, true),
    value: view.getBigUint64(24, true),
    raw: bytes,
  };
}
