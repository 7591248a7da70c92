/** containerd-shim-runsc-v1: containerd's way into the sandbox. See docs/containerd.md. */
import { writeSync } from 'node:fs';
import { checkId, parseArguments, type ShimArguments, UsageError } from './arguments.ts';
import { VERSION } from './version.ts';

async function run(args: ShimArguments): Promise<void> {
  if (args.version) {
    const { versionText } = await import('./info.ts');
    writeSync(1, versionText(VERSION));
    return;
  }
  if (args.info) return (await import('./info.ts')).printInfo(VERSION);
  switch (args.action) {
    case 'start':
      checkId(args.id, '-id');
      checkId(args.namespace, '-namespace');
      await (await import('./start.ts')).start(args);
      process.exit(0); // nothing is waited for
      break;
    case 'delete':
      checkId(args.namespace, '-namespace');
      return (await import('./delete.ts')).remove(args);
    case 'serve':
      return (await import('./daemon.ts')).serve(args);
    case 'keep':
      return (await import('./keeper.ts')).keep(args);
    default:
      throw new UsageError(args.action === '' ? 'no action: start or delete' : `unknown action ${JSON.stringify(args.action)}`);
  }
}

async function main(): Promise<void> {
  try {
    await run(parseArguments(process.argv.slice(2)));
  } catch (error) {
    writeSync(2, `containerd-shim-runsc-v1: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exit(1);
  }
}

void main();
