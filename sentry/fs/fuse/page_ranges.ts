/**
 * Which pages of a file are here, as runs: what it takes depends on the pages that are here and not on how long the file says it is, which
 * is for the server to choose.
 */
export class PageRanges {
  /** First page of a run, the page behind it, first of the next: ascending, and no two are the same. */
  private readonly bounds: number[] = [];

  /** The page behind the last that is here. */
  get end(): number {
    return this.bounds.at(-1) ?? 0;
  }
  has(page: number): boolean {
    return this.below(page + 1) % 2 === 1;
  }
  /** The first page from `page` on that is not here. */
  firstMissing(page: number): number {
    const at = this.below(page + 1);
    return at % 2 === 1 ? (this.bounds[at] as number) : page;
  }
  /** Pages `from` up to before `to` are here. */
  add(from: number, to: number): void {
    if (from < to) this.set(from, to, 0);
  }
  /** They are not. */
  remove(from: number, to: number): void {
    if (from < to) this.set(from, to, 1);
  }

  /** outside: parity of a bound's index that is on the other side: 0 adds, 1 removes. */
  private set(from: number, to: number, outside: number): void {
    const first = this.below(from);
    const last = this.below(to + 1);
    const kept: number[] = [];
    if (first % 2 === outside) kept.push(from);
    if (last % 2 === outside) kept.push(to);
    this.bounds.splice(first, last - first, ...kept);
  }
  /** How many bounds are smaller than `page`. */
  private below(page: number): number {
    let low = 0;
    let high = this.bounds.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.bounds[middle] as number) < page) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
