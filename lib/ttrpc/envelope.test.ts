import { decodeRequest, decodeResponse, encodeRequest, encodeResponse } from './envelope.ts';
import { NOT_FOUND, OK } from './status.ts';
import { WireError } from './wire.ts';

test('requests and responses round-trip', () => {
  const request = {
    service: 'a.B',
    method: 'C',
    payload: Uint8Array.of(1, 2),
    timeoutNano: 5e12,
    metadata: [
      ['k', 'v'],
      ['k', ''],
    ] as const,
  };
  expect(decodeRequest(encodeRequest(request))).toEqual(request);
  const failure = { code: NOT_FOUND, message: 'x: not found', payload: new Uint8Array(0) };
  expect(decodeResponse(encodeResponse(failure))).toEqual(failure);
  const answer = { code: OK, message: '', payload: Uint8Array.of(0x80, 0) };
  expect(decodeResponse(encodeResponse(answer))).toEqual(answer);
});

test('bytes as another implementation writes them', () => {
  // service "s", method "m", timeout_nano 300, an unknown fixed64 field 9.
  const bytes = Uint8Array.of(0x0a, 1, 0x73, 0x12, 1, 0x6d, 0x20, 0xac, 0x02, 0x49, 1, 2, 3, 4, 5, 6, 7, 8);
  expect(decodeRequest(bytes)).toMatchObject({ service: 's', method: 'm', timeoutNano: 300 });
  // A status with code 0 and no message is success.
  expect(decodeResponse(Uint8Array.of(0x0a, 0, 0x12, 1, 7))).toEqual({ code: OK, message: '', payload: Uint8Array.of(7) });
});

test.each([
  ['a field that ends early', [0x0a, 5, 0x73]],
  ['a varint without an end', [0x20, 0xff]],
  ['an endless varint', [0x20, ...new Array(11).fill(0xff)]],
  ['field number 0', [0x02, 0]],
  ['a group', [0x0b]],
  ['a length near 2^53', [0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f]],
])('%s is refused', (_name, bytes) => {
  expect(() => decodeRequest(Uint8Array.from(bytes))).toThrow(WireError);
});
