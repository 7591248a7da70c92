/**
 * What the Sentry itself holds in memory for a container: contents of tmpfs and of writable layers, of memfds, bytes in pipes. The host counts
 * them as the Sentry's. Pages of files that the application has mapped and touched are not among them: those the host counts for it.
 */
export class MemoryAccount {
  /** Of the sandbox as a whole; null: this is it. */
  private readonly whole: MemoryAccount | null;
  /** Bytes. */
  held = 0;
  /** `onMark` is called whenever more than this is held. */
  mark = Number.POSITIVE_INFINITY;
  onMark: () => void = () => {};

  constructor(whole: MemoryAccount | null = null) {
    this.whole = whole;
  }

  add(bytes: number): void {
    this.held += bytes;
    if (this.held > this.mark) this.onMark();
    this.whole?.add(bytes);
  }
}
