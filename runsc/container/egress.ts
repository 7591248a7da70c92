/** The files behind --egress-policy, --egress-log and --pcap: read or opened here, because a sandbox opens no files. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { errnoName } from '../../abi/errno.ts';
import { O_APPEND, O_CLOEXEC, O_CREAT, O_TRUNC, O_WRONLY } from '../../abi/fcntl.ts';
import { type EgressPolicy, PolicyError, parseEgressPolicy } from '../../lib/egress_policy.ts';
import { host } from '../../lib/host.ts';
import { RuntimeError, type RuntimeSettings } from './types.ts';

/** Null: there is none. @throws RuntimeError that names what is wrong in it. */
export function loadEgressPolicy({ egressPolicy: path, network }: RuntimeSettings): EgressPolicy | null {
  if (path === null || network === 'none') return null;
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (e) {
    throw new RuntimeError('Invalid', `cannot read the egress policy: ${(e as Error).message}`, e);
  }
  try {
    const policy = parseEgressPolicy(text, path);
    if (network === 'host' && policy.rules.some((rule) => rule.names.length > 0))
      throw new PolicyError(`${path}: rules with names need --network=sandbox: with host sockets no answers of name servers are seen`);
    return policy;
  } catch (e) {
    throw e instanceof PolicyError ? new RuntimeError('Invalid', e.message, e) : e;
  }
}

/** A descriptor, for the caller to close. @throws RuntimeError */
export function openEgressLog({ egressLog }: RuntimeSettings, id: string, folder: string): number {
  return openFile(egressLog === null ? join(folder, 'egress.jsonl') : withId(egressLog, id), O_APPEND);
}
export function openCapture(path: string, id: string): number {
  return openFile(withId(path, id), O_TRUNC);
}

function withId(path: string, id: string): string {
  return path.replaceAll('%ID%', id);
}
function openFile(path: string, flags: number): number {
  const fd = host.openat(-100, path, O_CREAT | O_WRONLY | O_CLOEXEC | flags, 0o600);
  if (fd < 0) throw new RuntimeError('Internal', `cannot open ${path}: ${errnoName(fd)}`);
  return fd;
}
