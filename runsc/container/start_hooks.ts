/** startContainer hooks: programs of the container's own files that run inside, before its program does. */
import { isErrno } from '../../abi/errno.ts';
import { host } from '../../lib/host.ts';
import type { Container } from './container.ts';
import type { Spec, SpecHook, SpecProcess } from './spec.ts';
import { type OciState, RuntimeError } from './types.ts';

const MFD_CLOEXEC = 1;
const SIGKILL = 9;
/** How much of a hook's output an error message keeps. */
const OUTPUT_TAIL = 2048;

/** One after the other. A failure ends the container, which has not started. */
export async function runStartHooks(container: Container, spec: Spec, state: OciState): Promise<void> {
  for (const [i, hook] of (spec.hooks?.startContainer ?? []).entries()) {
    try {
      await runStartHook(container, hook, spec.process, state, `hook-start-${i}`);
    } catch (e) {
      await container.kill(SIGKILL).catch(() => {}); // the hook's failure is what matters
      throw e;
    }
  }
}

async function runStartHook(
  container: Container,
  hook: SpecHook,
  base: SpecProcess | undefined,
  state: OciState,
  execId: string,
): Promise<void> {
  const input = memoryFile(Buffer.from(JSON.stringify(state)));
  const output = memoryFile(Buffer.alloc(0));
  const process: SpecProcess = {
    args: [hook.path, ...(hook.args ?? []).slice(1)],
    env: hook.env ?? [],
    cwd: '/',
    user: { uid: 0, gid: 0 },
    ...(base?.capabilities === undefined ? {} : { capabilities: base.capabilities }),
  };
  const fail = (why: string): never => {
    const tail = tailOf(output);
    throw new RuntimeError('Internal', `startContainer hook ${hook.path}: ${why}${tail === '' ? '' : `: ${tail}`}`);
  };
  try {
    await container
      .exec({ execId, process, stdio: { stdin: input, stdout: output, stderr: output }, beforeStart: true })
      .catch((e: Error) => fail(e.message));
    const late =
      hook.timeout === undefined ? null : setTimeout(() => void container.kill(SIGKILL, { execId }).catch(() => {}), hook.timeout * 1000);
    const started = Date.now();
    const { exitCode } = await container.wait(execId);
    if (late !== null) clearTimeout(late);
    if (hook.timeout !== undefined && exitCode === 128 + SIGKILL && Date.now() - started >= hook.timeout * 1000)
      fail(`no end after ${hook.timeout} s`);
    if (exitCode !== 0) fail(`exit status ${exitCode}`);
  } finally {
    host.close(input);
    host.close(output);
  }
}

/** At its beginning, with `content` in it. */
function memoryFile(content: Uint8Array): number {
  const fd = host.memfdCreate('hook', MFD_CLOEXEC);
  if (isErrno(fd)) throw new RuntimeError('Internal', `cannot make a memory file: errno ${-fd}`);
  if (content.length > 0) host.pwrite(fd, content, 0, content.length, 0);
  return fd;
}

function tailOf(fd: number): string {
  const bytes = new Uint8Array(OUTPUT_TAIL);
  const n = host.pread(fd, bytes, 0, bytes.length, 0);
  return n > 0 ? Buffer.from(bytes.buffer, 0, n).toString('utf8').trim() : '';
}
