/** Reads what the gofer is started with. Its author is runsc, as root: mistakes are reported, not survived. */
import { readFileSync } from 'node:fs';
import type { GoferConfig, GoferConnection, GoferMount } from '../lib/gofer_config.ts';
import type { Host } from '../lib/host.ts';

/** @throws Error that says what is wrong. */
export function readConfig(host: Host, args: readonly string[]): GoferConfig {
  const at = args.indexOf('--config-fd');
  const fd = Number(args[at + 1]);
  if (at < 0 || !Number.isInteger(fd) || fd < 0) throw new Error('usage: gofer --config-fd N');
  host.syscall(8 /* lseek: a memfd stands where its writer stopped; a pipe refuses, and need not care */, fd, 0, 0);
  const config = JSON.parse(readFileSync(fd, 'utf8')) as GoferConfig;
  host.close(fd);
  if (!Array.isArray(config.connections)) throw new Error('config: connections is missing');
  if (config.confine !== 'pivot' && config.confine !== 'none') throw new Error('config: confine is neither "pivot" nor "none"');
  for (const connection of config.connections) checkConnection(connection);
  return config;
}

/** @throws Error that says what is wrong. */
export function checkConnection(connection: GoferConnection): void {
  if (!isDescriptor(connection.socketFd)) throw new Error('config: socketFd is no descriptor');
  if (!Array.isArray(connection.mounts)) throw new Error('config: mounts is missing');
  const names = new Set<string>();
  for (const mount of connection.mounts as GoferMount[]) {
    if (typeof mount.name !== 'string' || names.has(mount.name)) throw new Error('config: a mount has no name of its own');
    if (!isDescriptor(mount.rootFd)) throw new Error(`config: mount ${mount.name}: rootFd is no descriptor`);
    if (typeof mount.readonly !== 'boolean') throw new Error(`config: mount ${mount.name}: readonly is missing`);
    if (typeof (mount.store ?? false) !== 'boolean') throw new Error(`config: mount ${mount.name}: store is neither true nor false`);
    if (typeof (mount.direct ?? false) !== 'boolean') throw new Error(`config: mount ${mount.name}: direct is neither true nor false`);
    names.add(mount.name);
  }
}

function isDescriptor(value: unknown): boolean {
  return Number.isInteger(value) && (value as number) >= 0;
}
