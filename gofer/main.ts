/** The gofer process: serves a container's mounts to its Sentry. See lib/gofer_config.ts for how it is started. */
import { host } from '../lib/host.ts';
import { readConfig } from './config.ts';
import { confine, enterDescriptorFolder, raiseDescriptorLimit } from './confine.ts';
import { Gofer } from './gofer.ts';

function main(): void {
  const config = readConfig(host, process.argv.slice(2));
  const descriptorLimit = raiseDescriptorLimit(host);
  enterDescriptorFolder(host);
  const gofer = new Gofer(host, config.controlFd ?? -1, descriptorLimit);
  for (const connection of config.connections) gofer.add(connection);
  if (config.confine === 'pivot') confine(host);
  gofer.run();
}

try {
  main();
  process.exit(0);
} catch (e) {
  process.stderr.write(`gofer: ${(e as Error).message}\n`);
  process.exit(1);
}
