/** HalfSipHash-2-4: a keyed hash of 32 bits, for cookies that only we can make and for choices that nobody outside can foresee. */

export class KeyedHash {
  private readonly k0: number;
  private readonly k1: number;
  private v0 = 0;
  private v1 = 0;
  private v2 = 0;
  private v3 = 0;

  /** The key: two words of 32 bits. */
  constructor(k0: number, k1: number) {
    this.k0 = k0 | 0;
    this.k1 = k1 | 0;
  }
  /** `text`: bytes, one a character; `word`: 32 bits behind them. */
  of(text: string, word: number): number {
    this.v0 = this.k0;
    this.v1 = this.k1;
    this.v2 = 0x6c79_6765 ^ this.k0;
    this.v3 = 0x7465_6462 ^ this.k1;
    const whole = text.length & ~3;
    for (let i = 0; i < whole; i += 4) this.take(wordAt(text, i, 4));
    this.take(wordAt(text, whole, text.length - whole));
    this.take(word | 0);
    this.take((text.length + 4) << 24);
    this.v2 ^= 0xff;
    for (let i = 0; i < 4; i++) this.round();
    return (this.v1 ^ this.v3) >>> 0;
  }
  private take(word: number): void {
    this.v3 ^= word;
    this.round();
    this.round();
    this.v0 ^= word;
  }
  private round(): void {
    let { v0, v1, v2, v3 } = this;
    v0 = (v0 + v1) | 0;
    v1 = rotate(v1, 5) ^ v0;
    v0 = rotate(v0, 16);
    v2 = (v2 + v3) | 0;
    v3 = rotate(v3, 8) ^ v2;
    v0 = (v0 + v3) | 0;
    v3 = rotate(v3, 7) ^ v0;
    v2 = (v2 + v1) | 0;
    v1 = rotate(v1, 13) ^ v2;
    v2 = rotate(v2, 16);
    this.v0 = v0;
    this.v1 = v1;
    this.v2 = v2;
    this.v3 = v3;
  }
}

function rotate(word: number, bits: number): number {
  return (word << bits) | (word >>> (32 - bits));
}
function wordAt(text: string, at: number, count: number): number {
  let word = 0;
  for (let i = 0; i < count; i++) word |= (text.charCodeAt(at + i) & 0xff) << (8 * i);
  return word;
}
