/** What a request and a response frame carry (ttrpc.Request, ttrpc.Response). */
import { OK } from './status.ts';
import { text, WireError, WireWriter, wireFields } from './wire.ts';

export interface Request {
  readonly service: string;
  readonly method: string;
  readonly payload: Uint8Array;
  /** ns that the caller waits; 0 = for ever. */
  readonly timeoutNano: number;
  readonly metadata: readonly (readonly [key: string, value: string])[];
}

export interface Response {
  /** OK or a code of status.ts. */
  readonly code: number;
  readonly message: string;
  readonly payload: Uint8Array;
}

/** Metadata key: how many descriptors travel beside the request, in decimal. An extension of this project's own. */
export const FDS_KEY = 'fds';
/** Most metadata pairs that a request may hold. */
const MAX_METADATA = 256;
const EMPTY = new Uint8Array(0);

export function encodeRequest(request: Request): Uint8Array {
  const out = new WireWriter().string(1, request.service).string(2, request.method).bytes(3, request.payload).uint(4, request.timeoutNano);
  for (const [key, value] of request.metadata) out.message(5, new WireWriter().string(1, key).string(2, value).finish());
  return out.finish();
}

/** Throws WireError. */
export function decodeRequest(bytes: Uint8Array): Request {
  let service = '';
  let method = '';
  let payload: Uint8Array = EMPTY;
  let timeoutNano = 0;
  const metadata: [string, string][] = [];
  for (const f of wireFields(bytes)) {
    if (f.field === 1) service = text(f.bytes);
    else if (f.field === 2) method = text(f.bytes);
    else if (f.field === 3) payload = f.bytes;
    else if (f.field === 4) timeoutNano = f.value;
    else if (f.field === 5) {
      if (metadata.length === MAX_METADATA) throw new WireError('too much metadata');
      metadata.push(decodePair(f.bytes));
    }
  }
  return { service, method, payload, timeoutNano, metadata };
}

function decodePair(bytes: Uint8Array): [string, string] {
  let key = '';
  let value = '';
  for (const f of wireFields(bytes)) {
    if (f.field === 1) key = text(f.bytes);
    else if (f.field === 2) value = text(f.bytes);
  }
  return [key, value];
}

export function encodeResponse(response: Response): Uint8Array {
  const out = new WireWriter();
  if (response.code !== OK) out.message(1, new WireWriter().uint(1, response.code).string(2, response.message).finish());
  return out.bytes(2, response.payload).finish();
}

/** Throws WireError. */
export function decodeResponse(bytes: Uint8Array): Response {
  let code = OK;
  let message = '';
  let payload: Uint8Array = EMPTY;
  for (const f of wireFields(bytes)) {
    if (f.field === 2) payload = f.bytes;
    else if (f.field === 1) {
      for (const s of wireFields(f.bytes)) {
        if (s.field === 1) code = s.value;
        else if (s.field === 2) message = text(s.bytes);
      }
    }
  }
  return { code, message, payload };
}
