import { byteString } from './byte_string.ts';
import { RecentStrings } from './recent_strings.ts';

test('gives what is asked for, whatever was there before', () => {
  const recent = new RecentStrings();
  const texts = ['', 'a', 'b', 'etc', 'passwd', '\xff\x01\x80', 'x'.repeat(255), 'y'.repeat(256), 'z'.repeat(4000)];
  for (let i = 0; i < 2000; i++) texts.push(`name${i}`);
  for (let round = 0; round < 2; round++) {
    for (const text of texts) {
      const bytes = Buffer.from(`??${text}!!`, 'latin1');
      expect(recent.of(bytes, 2, 2 + text.length)).toBe(text);
      expect(recent.part(`??${text}!!`, 2, 2 + text.length)).toBe(text);
    }
  }
});

test('strings that share a place are told apart', () => {
  const recent = new RecentStrings();
  for (const text of ['abcd', 'xbcd', 'abcd', 'axcd']) expect(recent.of(Buffer.from(text), 0, 4)).toBe(text);
  for (const text of ['abcd', 'xbcd', 'abcd', 'axcd']) expect(recent.part(`/${text}/`, 1, 5)).toBe(text);
});

test('bytes become characters one by one', () => {
  const all = Uint8Array.from({ length: 256 }, (_, i) => i);
  expect(byteString(all)).toBe(String.fromCharCode(...all));
  expect(byteString(all.subarray(100), 28, 30)).toBe('\x80\x81');
  expect(byteString(all, 5, 5)).toBe('');
});
