import { encodeFrame, FRAME_REQUEST, FRAME_RESPONSE, FrameDecoder, HEADER_LENGTH, MAX_PAYLOAD } from './frame.ts';

test('a frame survives every split of its bytes', () => {
  const bytes = encodeFrame(7, FRAME_REQUEST, 3, Uint8Array.of(1, 2, 3));
  for (let cut = 0; cut <= bytes.length; cut++) {
    const decoder = new FrameDecoder();
    const frames = [...decoder.push(bytes.subarray(0, cut)), ...decoder.push(bytes.subarray(cut))];
    expect(frames).toEqual([{ streamId: 7, type: FRAME_REQUEST, flags: 3, payload: Uint8Array.of(1, 2, 3), length: 3 }]);
    expect(decoder.partial).toBe(false);
  }
});

test('several frames in one chunk, one of them empty', () => {
  const chunk = Buffer.concat([
    encodeFrame(1, FRAME_RESPONSE, 0, new Uint8Array(0)),
    encodeFrame(3, FRAME_RESPONSE, 0, Uint8Array.of(9)),
    encodeFrame(5, FRAME_RESPONSE, 0, Uint8Array.of(8)).subarray(0, 4),
  ]);
  const decoder = new FrameDecoder();
  expect(decoder.push(chunk).map((f) => [f.streamId, f.length])).toEqual([
    [1, 0],
    [3, 1],
  ]);
  expect(decoder.partial).toBe(true);
});

test('a payload above the limit is discarded and the stream stays in step', () => {
  const header = new Uint8Array(HEADER_LENGTH);
  const view = new DataView(header.buffer);
  view.setUint32(0, MAX_PAYLOAD + 1);
  view.setUint32(4, 11);
  view.setUint8(8, FRAME_REQUEST);
  const decoder = new FrameDecoder();
  expect(decoder.push(header)).toEqual([]);
  expect(decoder.push(new Uint8Array(MAX_PAYLOAD))).toEqual([]);
  const next = encodeFrame(13, FRAME_REQUEST, 0, Uint8Array.of(5));
  const frames = decoder.push(Buffer.concat([Uint8Array.of(0), next]));
  expect(frames.map((f) => [f.streamId, f.payload === null, f.length])).toEqual([
    [11, true, MAX_PAYLOAD + 1],
    [13, false, 1],
  ]);
});

test('the longest payload passes, a longer one is never sent', () => {
  const bytes = encodeFrame(1, FRAME_REQUEST, 0, new Uint8Array(MAX_PAYLOAD));
  expect(new FrameDecoder().push(bytes)[0]?.payload?.length).toBe(MAX_PAYLOAD);
  expect(() => encodeFrame(1, FRAME_REQUEST, 0, new Uint8Array(MAX_PAYLOAD + 1))).toThrow(RangeError);
});
