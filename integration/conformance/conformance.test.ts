/**
 * Guest tests: every C program here runs on the host's Linux first and then in the sandbox, on each platform, with the same
 * assertions inside and the same output outside.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readlinkSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { reportKvm } from '../../lib/kvm_probe.ts';
import { compileGuest } from '../guest_program.ts';

const ROOT = resolve(__dirname, '../..');
const OUT = join(ROOT, '.cache/conformance');
const RUNSC = join(ROOT, 'bin/runsc');
const PLATFORMS = process.env.TSVISOR_TEST_PLATFORMS?.split(',') ?? ['systrap', 'ptrace', ...(reportKvm().entry !== 0 ? ['kvm'] : [])];
/** What a platform does not have (docs/compatibility.md says why). */
const LACKS: Readonly<Record<string, readonly string[]>> = { kvm: ['affinity', 'forked_clocks', 'rseq'] };
/** What the host has to have for its half. */
const NEEDS: Readonly<Record<string, string>> = { tunnels: '/dev/net/tun', tunnel_frames: '/dev/net/tun' };
const programs = readdirSync(__dirname)
  .filter((name) => name.endsWith('.c'))
  .map((name) => name.slice(0, -2))
  .filter((name) => existsSync(NEEDS[name] ?? '/'));

function compile(name: string): string {
  const source = join(__dirname, `${name}.c`);
  const program = join(OUT, name);
  const headers = readdirSync(__dirname).filter((file) => file.endsWith('.h'));
  const newest = Math.max(...[source, ...headers.map((file) => join(__dirname, file))].map((file) => statSync(file).mtimeMs));
  if ((statSync(program, { throwIfNoEntry: false })?.mtimeMs ?? 0) < newest) {
    compileGuest(source, program, ['-lpthread', '-lrt', '-ldl']);
  }
  return program;
}

function run(command: string, args: readonly string[]) {
  const { stdout, stderr, status, signal } = spawnSync(command, args, { encoding: 'latin1', timeout: 120_000, input: '' });
  return { stdout, stderr, status, signal };
}

/** Processes of the host that still run the program: none of its children may outlive it. */
function stillRunning(program: string): string[] {
  return readdirSync('/proc').filter((pid) => {
    try {
      return /^\d+$/.test(pid) && readlinkSync(`/proc/${pid}/exe`) === program;
    } catch {
      return false; // gone, or not ours to see
    }
  });
}

describe.each(programs)('%s', (name) => {
  const program = compile(name);
  const onHost = run(program, []);

  test('the host agrees', () => {
    expect(onHost).toMatchObject({ status: 0, signal: null, stderr: '' });
  });
  test('nothing of it is left on the host', async () => {
    while (stillRunning(program).length > 0) await new Promise((next) => setTimeout(next, 50));
  }, 20_000);

  const platforms = PLATFORMS.filter((platform) => !LACKS[platform]?.includes(name));
  if (platforms.length === 0) return;
  test.each(platforms)(
    'in the sandbox on %s',
    (platform) => {
      const inSandbox = run(RUNSC, [`--platform=${platform}`, 'do', '--', program]);
      expect(inSandbox.stderr).toBe('');
      expect(inSandbox.stdout).toBe(onHost.stdout);
      expect(inSandbox.status).toBe(0);
    },
    130_000,
  );
});
