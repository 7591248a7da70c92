/** Random numbers drawn from the host in blocks: one host call for many. */

/** Bytes of one block. */
const BLOCK = 768;
/** Bytes of one number. */
const STEP = 6;

export class RandomPool {
  private readonly bytes = new Uint8Array(BLOCK);
  private at = BLOCK;
  private readonly fill: (bytes: Uint8Array) => void;

  constructor(fill: (bytes: Uint8Array) => void) {
    this.fill = fill;
  }
  /** Uniform in [0, limit), limit up to 2^48. */
  below(limit: number): number {
    if (this.at === BLOCK) {
      this.fill(this.bytes);
      this.at = 0;
    }
    let value = 0;
    for (let i = 0; i < STEP; i++) {
      value = value * 256 + (this.bytes[this.at] as number);
      this.bytes[this.at++] = 0; // nobody reads it here later
    }
    return value % limit;
  }
}
