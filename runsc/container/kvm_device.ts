/**
 * /dev/kvm for the Sentry, which has no right to open it. With `auto` it gets the device only where a system call through KVM costs less
 * than through a trap on the host; where it does not, that is remembered until the next boot, so that starts do not pay for the question.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { host } from '../../lib/host.ts';
import { describeKvm, type KvmReport, openKvm, probeKvm } from '../../lib/kvm_probe.ts';
import { RuntimeError, type RuntimeSettings } from './types.ts';

/** Holds the boot in which KVM was found to be of no use. Not with the state of containers, which is theirs alone. */
const REMEMBERED = '/run/tsvisor/kvm-of-no-use';

function bootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
}

/** A system call through KVM costs less than a trap on the host, which systrap needs for each. */
export function isFaster({ entry, roundTrip, trap }: KvmReport): boolean {
  return entry !== 0 && roundTrip < trap;
}

/** A descriptor that is ours to close; null: the platform is another one. @throws RuntimeError if KVM is asked for and is not there. */
export function openPlatformDevice({ platform }: Pick<RuntimeSettings, 'platform'>, remembered = REMEMBERED): number | null {
  if (platform === 'kvm') {
    const fd = openKvm();
    if (typeof fd === 'string') throw new RuntimeError('Invalid', `platform kvm: ${fd}`);
    return fd;
  }
  return platform === 'auto' ? openIfFaster(remembered) : null;
}

function openIfFaster(memory: string): number | null {
  try {
    if (readFileSync(memory, 'latin1').startsWith(bootId())) return null;
  } catch {
    // Not asked before.
  }
  const fd = openKvm();
  if (typeof fd === 'string') return null;
  const report = probeKvm(fd);
  if (isFaster(report)) return fd;
  host.close(fd);
  try {
    mkdirSync(dirname(memory), { recursive: true, mode: 0o711 });
    writeFileSync(memory, `${bootId()}\n${describeKvm(report)}\n`);
  } catch {
    // Asked again next time.
  }
  return null;
}
