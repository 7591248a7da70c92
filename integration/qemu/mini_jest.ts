/** As much of jest as the platform suites use, for a machine that has nothing but Node: tests in order, hooks, `expect`. */
import { expect } from 'expect';

type Body = (...row: never[]) => void | Promise<void>;
type Each = (rows: readonly unknown[]) => (name: string, body: Body) => void;
interface Test {
  (name: string, body: Body, timeout?: number): void;
  skip: (name: string, body?: Body) => void;
  each: Each;
}
interface Group {
  readonly name: string;
  readonly tests: { readonly name: string; readonly run: () => void | Promise<void> }[];
  readonly before: Body[];
  readonly beforeEach: Body[];
  readonly after: Body[];
}
export interface Outcome {
  readonly passed: number;
  /** Names. */
  readonly failed: readonly string[];
}

/** What is told of a run while it goes on. */
export interface Listener {
  /** The test of this group begins. */
  readonly began: (group: string, name: string) => void;
  readonly failed: (name: string, line: string) => void;
}

/** Defines the globals, collects what `suites` describe, runs it. */
export async function runSuites(suites: () => void, listener: Listener): Promise<Outcome> {
  const groups: Group[] = [];
  const now = (): Group => groups[groups.length - 1] as Group;
  const test: Test = (name, body) => void now().tests.push({ name, run: body as () => void });
  test.skip = () => {};
  test.each = (rows) => (name, body) => {
    for (const row of rows) {
      const label = name.replace(/\$(\w+)/g, (_all, key: string) => String((row as Record<string, unknown>)[key]));
      now().tests.push({ name: label, run: () => (body as (row: unknown) => void)(row) });
    }
  };
  const describe = (name: string, body: () => void): void => {
    groups.push({ name, tests: [], before: [], beforeEach: [], after: [] });
    body();
  };
  Object.assign(globalThis, {
    expect,
    test,
    describe: Object.assign(describe, { skip: () => {} }),
    beforeAll: (body: Body) => now().before.push(body),
    beforeEach: (body: Body) => now().beforeEach.push(body),
    afterAll: (body: Body) => now().after.push(body),
  });
  suites();
  let passed = 0;
  const failed: string[] = [];
  const call = async (bodies: readonly Body[]): Promise<void> => {
    for (const body of bodies) await (body as () => void)();
  };
  for (const group of groups) {
    await call(group.before);
    for (const { name, run } of group.tests) {
      listener.began(group.name, name);
      try {
        await call(group.beforeEach);
        await run();
        passed++;
      } catch (e) {
        failed.push(name);
        listener.failed(name, `FAILED ${group.name}: ${name}: ${(e as Error).stack ?? e}`);
      }
    }
    await call(group.after);
  }
  return { passed, failed };
}
