/** The Sentry process: boots, locks itself in, runs the kernel's loop until its sandbox ends. */
import { host } from '../lib/host.ts';
import { boot } from './boot/boot.ts';

try {
  process.exit(boot(host, process.argv.slice(2)));
} catch (e) {
  process.stderr.write(`sentry: ${(e as Error).stack ?? e}\n`);
  process.exit(70); // EX_SOFTWARE
}
