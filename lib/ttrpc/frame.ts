/**
 * ttrpc's frames: a 10-byte big-endian header (u32 length, u32 stream id, u8 type, u8 flags) and a payload. No
 * transport here: bytes in, frames out, so that a Node socket and the Sentry's own loop can both use it.
 */
export const HEADER_LENGTH = 10;
/** Largest payload either side accepts; a longer one is skipped, never buffered. */
export const MAX_PAYLOAD = 4 << 20;

// Frame types.
export const FRAME_REQUEST = 1;
export const FRAME_RESPONSE = 2;
export const FRAME_DATA = 3;

// Frame flags.
export const FLAG_REMOTE_CLOSED = 1;
export const FLAG_REMOTE_OPEN = 2;
export const FLAG_NO_DATA = 4;

export interface Frame {
  readonly streamId: number;
  readonly type: number;
  readonly flags: number;
  /** Null if it was longer than MAX_PAYLOAD: its bytes have been discarded. */
  readonly payload: Uint8Array | null;
  /** Bytes that the header announced. */
  readonly length: number;
}

/** Throws RangeError if the payload is longer than a peer would accept. */
export function encodeFrame(streamId: number, type: number, flags: number, payload: Uint8Array): Uint8Array {
  if (payload.length > MAX_PAYLOAD) throw new RangeError(`payload of ${payload.length} bytes is longer than ${MAX_PAYLOAD}`);
  const out = new Uint8Array(HEADER_LENGTH + payload.length);
  const view = new DataView(out.buffer);
  view.setUint32(0, payload.length);
  view.setUint32(4, streamId);
  view.setUint8(8, type);
  view.setUint8(9, flags);
  out.set(payload, HEADER_LENGTH);
  return out;
}

/** Cuts a byte stream into frames. Holds at most one incomplete frame (HEADER_LENGTH + MAX_PAYLOAD bytes). */
export class FrameDecoder {
  readonly #header = new Uint8Array(HEADER_LENGTH);
  #headerFill = 0;
  #payload: Uint8Array | null = null;
  #payloadFill = 0;
  #length = 0;

  /** The frames that `chunk` completes. Payloads are copies: the chunk may be reused. */
  push(chunk: Uint8Array): Frame[] {
    const frames: Frame[] = [];
    let at = 0;
    while (at < chunk.length) {
      if (this.#headerFill < HEADER_LENGTH) {
        at += this.#takeHeader(chunk, at);
        if (this.#headerFill < HEADER_LENGTH) break;
      } else {
        at += this.#takePayload(chunk, at);
      }
      if (this.#payloadFill === this.#length) frames.push(this.#finish());
    }
    return frames;
  }

  /** True inside a frame: an end of the stream here loses something. */
  get partial(): boolean {
    return this.#headerFill > 0;
  }

  #takeHeader(chunk: Uint8Array, at: number): number {
    const count = Math.min(HEADER_LENGTH - this.#headerFill, chunk.length - at);
    this.#header.set(chunk.subarray(at, at + count), this.#headerFill);
    this.#headerFill += count;
    if (this.#headerFill === HEADER_LENGTH) {
      this.#length = new DataView(this.#header.buffer).getUint32(0);
      this.#payload = this.#length > MAX_PAYLOAD ? null : new Uint8Array(this.#length);
      this.#payloadFill = 0;
    }
    return count;
  }

  #takePayload(chunk: Uint8Array, at: number): number {
    const count = Math.min(this.#length - this.#payloadFill, chunk.length - at);
    this.#payload?.set(chunk.subarray(at, at + count), this.#payloadFill);
    this.#payloadFill += count;
    return count;
  }

  #finish(): Frame {
    const view = new DataView(this.#header.buffer);
    const frame: Frame = {
      streamId: view.getUint32(4),
      type: view.getUint8(8),
      flags: view.getUint8(9),
      payload: this.#payload,
      length: this.#length,
    };
    this.#headerFill = 0;
    this.#payload = null;
    this.#payloadFill = 0;
    this.#length = 0;
    return frame;
  }
}
