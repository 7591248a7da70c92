/** The Sentry process: boots, locks itself in, runs the kernel's loop until its sandbox ends. */
import { host } from '../lib/host.ts';
import { PlatformError } from '../platforms/platform.ts';
import { boot } from './boot/boot.ts';

const EXIT_GROUP = 231;
const STDERR = 2;

// It ends by the system call: the runtime's own way out makes calls that a process that is locked in may not.
try {
  host.syscall(EXIT_GROUP, boot(host, process.argv.slice(2)));
} catch (e) {
  const why = e instanceof PlatformError ? e.message : ((e as Error).stack ?? e);
  host.write(STDERR, Buffer.from(`sentry: ${why}\n`));
  host.syscall(EXIT_GROUP, 70); // EX_SOFTWARE
}
