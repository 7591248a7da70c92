/** OCI hooks: programs of the host that get the container's state on stdin. */
import type { SpecHook } from './spec.ts';
import { type OciState, RuntimeError } from './types.ts';

/** How much of a hook's output an error message keeps. */
const OUTPUT_TAIL = 2048;

/** One after the other; the first failure ends it. */
export async function runHooks(name: string, hooks: readonly SpecHook[] | undefined, state: OciState): Promise<void> {
  for (const hook of hooks ?? []) await runHook(name, hook, state);
}

/** As runHooks, but for hooks whose failure must not stop anything: the messages. */
export async function runHooksLenient(name: string, hooks: readonly SpecHook[] | undefined, state: OciState): Promise<string[]> {
  const failures: string[] = [];
  for (const hook of hooks ?? []) await runHook(name, hook, state).catch((e: Error) => failures.push(e.message));
  return failures;
}

function runHook(name: string, hook: SpecHook, state: OciState): Promise<void> {
  return new Promise((resolve, reject) => {
    const args = hook.args ?? [];
    const env = Object.fromEntries((hook.env ?? []).map((e) => [e.slice(0, e.indexOf('=')), e.slice(e.indexOf('=') + 1)]));
    const { spawn } = process.getBuiltinModule('node:child_process'); // loaded where there are hooks
    const child = spawn(hook.path, args.slice(1), { argv0: args[0] ?? hook.path, env, cwd: state.bundle, stdio: ['pipe', 'pipe', 'pipe'] });
    let output = '';
    let timedOut = false;
    const keep = (chunk: Buffer): void => {
      output = (output + chunk.toString()).slice(-OUTPUT_TAIL);
    };
    const kill = (): void => {
      timedOut = true;
      child.kill('SIGKILL');
    };
    const timer = hook.timeout === undefined ? undefined : setTimeout(kill, hook.timeout * 1000);
    const fail = (why: string): void => {
      const tail = output.trim() === '' ? '' : `: ${output.trim()}`;
      reject(new RuntimeError('Internal', `${name} hook ${hook.path}: ${why}${tail}`));
    };
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    child.on('error', (e) => fail(e.message));
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      if (timedOut) fail(`no end after ${hook.timeout} s`);
      else if (code === 0) resolve();
      else fail(signal === null ? `exit status ${code}` : `killed by ${signal}`);
    });
    child.stdin.on('error', () => {}); // a hook need not read
    child.stdin.end(JSON.stringify(state));
  });
}
