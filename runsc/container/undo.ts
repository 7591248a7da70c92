/** What has to be taken back if a later step fails: run in reverse order, each step whatever the others do. */
export class Undo {
  private readonly steps: (() => void | Promise<void>)[] = [];

  add(step: () => void | Promise<void>): void {
    this.steps.push(step);
  }
  /** Everything went well: nothing is taken back. */
  forget(): void {
    this.steps.length = 0;
  }
  /** What went wrong on the way, for the message. */
  async run(): Promise<string[]> {
    const failures: string[] = [];
    for (let step = this.steps.pop(); step !== undefined; step = this.steps.pop()) {
      try {
        await step();
      } catch (e) {
        failures.push((e as Error).message);
      }
    }
    return failures;
  }
}
