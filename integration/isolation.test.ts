/** What the host's kernel says of a sandbox's processes: no rights, no files, a filter on every thread. */
import { readdirSync, readFileSync, readlinkSync, statfsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { reportKvm } from '../lib/kvm_probe.ts';
import { missing, RunscWorld } from './runsc_bundle.ts';

const suite = missing().length === 0 ? describe : describe.skip;
const NOBODY = 65534;
const SECCOMP_FILTER = '2';
const PROC_SUPER_MAGIC = 0x9fa0;

function fields(pid: string, thread = pid): Map<string, string> {
  const text = readFileSync(`/proc/${pid}/task/${thread}/status`, 'utf8');
  return new Map(text.split('\n').map((line) => line.split(':\t') as [string, string]));
}
function threadsOf(pid: string): string[] {
  return readdirSync(`/proc/${pid}/task`);
}
function processesOf(predicate: (pid: string) => boolean): string[] {
  return readdirSync('/proc').filter((name) => {
    try {
      return /^\d+$/.test(name) && predicate(name);
    } catch {
      return false; // gone meanwhile
    }
  });
}
const commandLine = (pid: string): string => readFileSync(`/proc/${pid}/cmdline`, 'latin1');
const namespace = (pid: string, kind: string): string => readlinkSync(`/proc/${pid}/ns/${kind}`);

const PLATFORMS = ['ptrace', 'systrap', ...(reportKvm().entry !== 0 ? ['kvm'] : [])];

suite.each(PLATFORMS)('isolation on %s', (platform) => {
  let world: RunscWorld;
  let sentry: string;
  let gofer: string;
  let stubs: string[];
  const id = `isolation-${process.pid}-${platform}`;

  beforeAll(() => {
    world = new RunscWorld();
    const bundle = world.bundle({ args: ['sh', '-c', 'sleep 60 & sleep 60'] });
    const r = world.runsc(['run', '--detach', '--bundle', bundle, id], { stdout: join(bundle, 'out'), global: [`--platform=${platform}`] });
    expect(r).toMatchObject({ status: 0, stderr: '' });
    sentry = String((JSON.parse(world.runsc(['state', id]).stdout) as { pid: number }).pid);
    const cgroup = readFileSync(`/proc/${sentry}/cgroup`, 'utf8');
    gofer = processesOf(
      (pid) => commandLine(pid).startsWith('runsc-gofer') && readFileSync(`/proc/${pid}/cgroup`, 'utf8') === cgroup,
    )[0] as string;
    stubs = processesOf((pid) => pid !== sentry && namespace(pid, 'pid') === namespace(sentry, 'pid'));
  });
  afterAll(() => {
    world.runsc(['delete', '--force', id]);
    world.close();
  });

  test('every thread of the sentry is nobody, without capabilities, behind its filter', () => {
    for (const thread of threadsOf(sentry)) {
      const status = fields(sentry, thread);
      expect(status.get('Seccomp')).toBe(SECCOMP_FILTER);
      expect(status.get('NoNewPrivs')).toBe('1');
      expect(status.get('Uid')).toBe(Array(4).fill(NOBODY).join('\t'));
      for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapAmb']) expect(BigInt(`0x${status.get(set)}`)).toBe(0n);
    }
  });

  test('the processes of the application have no more', () => {
    // On KVM it has none: its instructions run in threads of the Sentry.
    if (platform === 'kvm') expect(stubs).toEqual([]);
    else expect(stubs.length).toBeGreaterThan(0);
    for (const pid of stubs) {
      const status = fields(pid);
      expect(status.get('Uid')).toBe(Array(4).fill(NOBODY).join('\t'));
      expect(BigInt(`0x${status.get('CapEff')}`)).toBe(0n);
      // Under ptrace every call is stopped by the tracer.
      if (platform === 'systrap') expect(status.get('Seccomp')).toBe(SECCOMP_FILTER);
      else expect(status.get('TracerPid')).toBe(sentry);
    }
  });

  test('sentry and gofer see an empty root and have namespaces of their own', () => {
    for (const pid of [sentry, gofer]) {
      expect(readdirSync(`/proc/${pid}/root/`)).toEqual([]);
      for (const kind of ['user', 'pid', 'mnt', 'ipc', 'uts']) expect(namespace(pid, kind)).not.toBe(namespace('self', kind));
      for (const thread of threadsOf(pid)) expect(fields(pid, thread).get('Seccomp')).toBe(SECCOMP_FILTER);
    }
    expect(namespace(gofer, 'net')).not.toBe(namespace('self', 'net'));
  });

  test('the sentry holds no descriptor of a folder but its procfs', () => {
    const folders = readdirSync(`/proc/${sentry}/fd`).filter((fd) => statSync(`/proc/${sentry}/fd/${fd}`).isDirectory());
    expect(folders.map((fd) => readlinkSync(`/proc/${sentry}/fd/${fd}`))).toEqual(['/']);
    expect(statfsSync(`/proc/${sentry}/fd/${folders[0]}`).type).toBe(PROC_SUPER_MAGIC);
  });
});
