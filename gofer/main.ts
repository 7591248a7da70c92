/** The gofer process: serves a container's mounts to its Sentry. See lib/gofer_config.ts for how it is started. */
import { host } from '../lib/host.ts';
import { readConfig } from './config.ts';
import { confine, enterDescriptorFolder, raiseDescriptorLimit } from './confine.ts';
import { Gofer } from './gofer.ts';

const EXIT_GROUP = 231;
const STDERR = 2;

function main(): void {
  const config = readConfig(host, process.argv.slice(2));
  const descriptorLimit = raiseDescriptorLimit(host);
  enterDescriptorFolder(host, config.confine === 'pivot');
  const gofer = new Gofer(host, config, descriptorLimit);
  for (const connection of config.connections) gofer.add(connection);
  if (config.confine === 'pivot') confine(host, (config.hostUds ?? 'none') !== 'none');
  gofer.run();
  (globalThis as { writeCodeCache?: () => void }).writeCodeCache?.(); // scripts/start-cached.cjs
}

// It ends by the system call: the runtime's own way out makes calls that a confined process may not.
try {
  main();
  host.syscall(EXIT_GROUP, 0);
} catch (e) {
  host.write(STDERR, Buffer.from(`gofer: ${(e as Error).message}\n`));
  host.syscall(EXIT_GROUP, 1);
}
