/**
 * The extended state of a stopped thread: it lies in the signal frame on the stub's stack, in the application's memory. The host
 * loads it on the way back, and kills the process if it is invalid; so what the Sentry writes is checked here.
 */
import { native } from '../../native-addon/native.ts';
import { clearXstate } from '../ptrace/tracer.ts';
import { W_FPSTATE } from './layout.ts';

// struct _fpx_sw_bytes (sigcontext.h), and the XSAVE header (Intel SDM vol. 1, §13.4)
const SW_BYTES = 464;
const FP_XSTATE_MAGIC1 = 0x46505853;
const SW_XFEATURES = 472;
const SW_XSTATE_SIZE = 480;
const LEGACY_END = 512;
const HEADER_END = 576;
const XCOMP_BV = 520;
const MXCSR = 24;
/** More than any XSAVE area. The size that the frame says is the application's to write. */
const MAX_XSTATE = 16384;
const EMPTY = new Uint8Array(0);

function frameAddress(words: Int32Array, at: number): number {
  return ((words[at + W_FPSTATE + 1] as number) >>> 0) * 0x1_0000_0000 + ((words[at + W_FPSTATE] as number) >>> 0);
}

/** As it lies in the frame: the software bytes are the signal frame's. Empty if there is none. */
function readFrame(pid: number, address: number): Uint8Array {
  const legacy = new Uint8Array(LEGACY_END);
  if (native.readProcess(pid, address, legacy, 0, LEGACY_END) !== LEGACY_END) return EMPTY;
  const view = new DataView(legacy.buffer);
  const size = view.getUint32(SW_XSTATE_SIZE, true);
  if (view.getUint32(SW_BYTES, true) !== FP_XSTATE_MAGIC1 || size < HEADER_END || size > MAX_XSTATE) return EMPTY;
  const image = new Uint8Array(size);
  return native.readProcess(pid, address, image, 0, size) === size ? image : EMPTY;
}

/** In the form that ptrace gives: the software bytes hold the features alone. */
export function readXstate(pid: number, words: Int32Array, at: number): Uint8Array {
  const image = readFrame(pid, frameAddress(words, at));
  if (image.length === 0) return image;
  const features = image.slice(SW_XFEATURES, SW_XFEATURES + 8);
  image.fill(0, SW_BYTES, LEGACY_END);
  image.set(features, SW_BYTES);
  return image;
}

/** False, and nothing changed, if the image does not fit or the host would refuse it. Null: the initial state. */
export function writeXstate(pid: number, words: Int32Array, at: number, image: Uint8Array | null): boolean {
  const address = frameAddress(words, at);
  const current = readFrame(pid, address);
  if (current.length === 0) return false;
  if (image === null) clearXstate(current);
  else if (!isValid(image, current)) return false;
  else {
    current.set(image.subarray(0, SW_BYTES));
    current.set(image.subarray(LEGACY_END), LEGACY_END);
  }
  const legacy = native.writeProcess(pid, address, current, 0, SW_BYTES);
  const rest = native.writeProcess(pid, address + LEGACY_END, current, LEGACY_END, current.length - LEGACY_END);
  return legacy === SW_BYTES && rest === current.length - LEGACY_END;
}

function isValid(image: Uint8Array, current: Uint8Array): boolean {
  if (image.length !== current.length) return false;
  const view = new DataView(image.buffer, image.byteOffset, image.byteLength);
  const features = new DataView(current.buffer).getBigUint64(SW_XFEATURES, true);
  if ((view.getBigUint64(LEGACY_END, true) & ~features) !== 0n) return false;
  for (let i = XCOMP_BV; i < HEADER_END; i++) if (image[i] !== 0) return false;
  return view.getUint32(MXCSR, true) <= 0xffff;
}
