/**
 * `delete`: removes what is left of one container, after its shim has ended or died; prints a DeleteResponse. It may come
 * twice, come first, and come while the shim lives: then the shim's containers are the shim's.
 */
import { existsSync, unlinkSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { WireWriter } from '../lib/ttrpc/wire.ts';
import { type ShimArguments, UsageError } from './arguments.ts';
import { readAddress, readExit, readSettings, stateRoot } from './bundle.ts';
import { connectable } from './listen.ts';
import { unmountRootfs } from './mounts.ts';
import { DEFAULT_OPTIONS, runtimeSettings } from './options.ts';

/** The status of what was killed here. */
const KILLED = 137;
/** ms the living shim may take to answer. */
const ASK_TIMEOUT = 1000;

export async function remove(args: ShimArguments): Promise<void> {
  const bundle = args.bundle === '' ? process.cwd() : args.bundle;
  if (args.id === '') throw new UsageError('-id must not be empty');
  if (!(await ownedByLiveShim(bundle, args.id))) await destroy(bundle, args);
  const exit = readExit(bundle) ?? { pid: 0, exitCode: KILLED, exitedAt: Date.now() };
  writeSync(1, encodeDeleteResponse(exit.pid, exit.exitCode, exit.exitedAt));
}

/** True if the shim behind the bundle's address lives and still has the container. */
async function ownedByLiveShim(bundle: string, id: string): Promise<boolean> {
  const path = readAddress(bundle)?.replace(/^unix:\/\//, '');
  if (path === undefined || path === '' || !connectable(path)) {
    if (path?.startsWith('/run/containerd/s/')) tryUnlink(path);
    return false;
  }
  const [{ TtrpcClient }, { Task }] = await Promise.all([import('../lib/ttrpc/client.ts'), import('../proto/messages.ts')]);
  try {
    const client = await TtrpcClient.connect(path, ASK_TIMEOUT);
    const request = Task.ContainerRequest.encode({ id }).finish();
    const answer = await client.call('containerd.task.v2.Task', 'Connect', request, { timeoutMs: ASK_TIMEOUT });
    client.close();
    return Task.ConnectResponse.decode(answer).task_pid !== 0;
  } catch {
    return false;
  }
}

function tryUnlink(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // gone already
  }
}

async function destroy(bundle: string, args: ShimArguments): Promise<void> {
  const settings = readSettings(bundle) ?? runtimeSettings(DEFAULT_OPTIONS, stateRoot(bundle, args.namespace));
  if (existsSync(join(settings.root, args.id))) {
    const { openContainers } = await import('./library.ts');
    await openContainers(settings).destroy(args.id);
  }
  unmountRootfs(join(bundle, 'rootfs'));
}

/** containerd.task.v2.DeleteResponse: pid, exit_status, exited_at. */
function encodeDeleteResponse(pid: number, exitCode: number, exitedAt: number): Uint8Array {
  const at = new WireWriter()
    .uint(1, Math.floor(exitedAt / 1000))
    .uint(2, Math.round((exitedAt % 1000) * 1e6))
    .finish();
  return new WireWriter().uint(1, pid).uint(2, exitCode).message(3, at).finish();
}
