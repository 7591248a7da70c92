import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openPlatformDevice } from './kvm_device.ts';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'kvm-device-'));
});
afterEach(() => rmSync(root, { recursive: true }));

test('other platforms get no device', () => {
  for (const platform of ['systrap', 'ptrace'] as const) expect(openPlatformDevice({ platform })).toBe(null);
});

test('what was found to be of no use in this boot is not asked again', () => {
  const boot = require('node:fs').readFileSync('/proc/sys/kernel/random/boot_id', 'latin1') as string;
  const remembered = join(root, 'kvm');
  writeFileSync(remembered, boot);
  expect(openPlatformDevice({ platform: 'auto' }, remembered)).toBe(null);
});
