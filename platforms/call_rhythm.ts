/** How often the application's threads stop, and whether it is several in turn: client and server, both ends of a pipe. */

/** Changes of the caller in a tick from which threads count as taking turns. */
const TURNS = 8;

export class CallRhythm {
  /** Stops of all threads in the last tick, and in that before. */
  last = 0;
  before = 0;
  /** As of the last tick. */
  takingTurns = false;
  private calls = 0;
  private turns = 0;
  private caller: object | null = null;

  stopped(thread: object): void {
    this.calls++;
    if (thread !== this.caller) {
      this.caller = thread;
      this.turns++;
    }
  }
  tick(): void {
    this.before = this.last;
    this.last = this.calls;
    this.takingTurns = this.turns >= TURNS;
    this.calls = 0;
    this.turns = 0;
    this.caller = null;
  }
}
