import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { WireWriter } from '../lib/ttrpc/wire.ts';
import { Runtime } from '../proto/messages.ts';
import { decodeOptionsAny, loadOptions, runtimeSettings } from './options.ts';

const body = (toml: string) => loadOptions({ path: '', body: toml });

function any(type: string, options: { config_path?: string; config_body?: Uint8Array }): Uint8Array {
  return new WireWriter().string(1, type).bytes(2, Runtime.Options.encode(options).finish()).finish();
}

test('an Any names a file or holds the text', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'options-'));
  const path = join(folder, 'runsc.toml');
  writeFileSync(path, 'log_level = "debug"\ngrouping = false\n');
  const source = decodeOptionsAny(any('runtimeoptions.v1.Options', { config_path: path }));
  expect(source).toEqual({ path, body: '' });
  expect(await loadOptions(source)).toMatchObject({ logLevel: 'debug', grouping: 'none' });
  rmSync(folder, { recursive: true });
  await expect(loadOptions(source)).rejects.toThrow(`cannot read the options file ${path}`);
  const inline = decodeOptionsAny(any('runtimeoptions.v1.Options', { config_path: path, config_body: Buffer.from('grouping = false') }));
  expect(await loadOptions(inline)).toMatchObject({ grouping: 'none' });
  expect(await body('grouping = "node"')).toMatchObject({ grouping: 'node' });
  expect(await body('')).toMatchObject({ grouping: 'pod' });
});

test('options of other runtimes say nothing', () => {
  expect(decodeOptionsAny(any('containerd.runc.v1.Options', { config_path: 'x' }))).toEqual({ path: '', body: '' });
  expect(decodeOptionsAny(new Uint8Array(0))).toEqual({ path: '', body: '' });
});

test('runsc_config sets the runtime, also with strings as flags are', async () => {
  const options = await body(
    '[runsc_config]\nplatform = "ptrace"\npatch-syscalls = "false"\nstrace = "true"\ndebug = true\ndebug-log = "/log/"\noverlay2 = "none"\n',
  );
  expect(runtimeSettings(options, '/state')).toEqual({
    root: '/state',
    platform: 'ptrace',
    network: 'sandbox',
    egressPolicy: null,
    egressLog: null,
    pcap: null,
    overlay2: 'none',
    hostUds: 'none',
    hostFifo: 'none',
    directfs: false,
    patchSyscalls: false,
    systemdCgroup: false,
    ignoreCgroups: false,
    debug: true,
    debugLog: '/log/',
    strace: true,
  });
});

test.each([
  ['colour = 1', 'unknown key colour'],
  ['log_level = "loud"', 'log_level must be one of "debug", "info", "warn", "error"'],
  ['grouping = "yes"', 'grouping must be one of'],
  ['runsc_config = 1', 'runsc_config must be a table'],
  ['[runsc_config]\nplatfrom = "kvm"', 'unknown key runsc_config.platfrom'],
  ['[runsc_config]\nplatform = "xen"', 'runsc_config.platform must be one of'],
  ['[runsc_config]\nstrace = "perhaps"', 'runsc_config.strace must be true or false'],
  ['log_level =', 'the options: '],
])('%j is refused by name', async (toml, message) => {
  await expect(body(toml)).rejects.toThrow(message);
});
