/** What a sandbox needs of this machine, each looked at by itself. */
import { existsSync, readFileSync } from 'node:fs';
import { arch, freemem, release } from 'node:os';
import { describeKvm, reportKvm } from '../../lib/kvm_probe.ts';
import { cgroupMounts } from '../container/cgroup.ts';
import { isFaster } from '../container/kvm_device.ts';
import { findRuntime } from './containerd_config.ts';
import { parseDaemonJson, runtimesOf } from './docker_config.ts';
import { CONTAINERD_CONFIG, DOCKER_CONFIG, findProgram, ownPath, SHIM, versionOf } from './places.ts';

export interface Finding {
  readonly check: string;
  readonly status: 'ok' | 'note' | 'warning' | 'error';
  readonly found: string;
  /** How to mend it; empty where nothing is to be done. */
  readonly mend: string;
}

/** mount_setattr(2), the newest call that is counted on. */
const MIN_KERNEL = [5, 12] as const;
/** bytes that a first sandbox wants. */
const MIN_MEMORY = 128 << 20;

const ok = (check: string, found: string): Finding => ({ check, status: 'ok', found, mend: '' });
const note = (check: string, found: string, mend = ''): Finding => ({ check, status: 'note', found, mend });
const warning = (check: string, found: string, mend: string): Finding => ({ check, status: 'warning', found, mend });
const error = (check: string, found: string, mend: string): Finding => ({ check, status: 'error', found, mend });

function read(path: string): string | null {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return null;
  }
}

export function checkKernel(text = release(), machine: string = arch()): Finding {
  const [major = 0, minor = 0] = text.split(/[.-]/).map(Number);
  if (machine !== 'x64') return error('kernel', `${text}, ${machine}`, 'sandboxes run on x86-64 alone');
  const old = major < MIN_KERNEL[0] || (major === MIN_KERNEL[0] && minor < MIN_KERNEL[1]);
  return old ? error('kernel', text, `Linux ${MIN_KERNEL.join('.')} or newer is needed`) : ok('kernel', text);
}

export function checkPrivilege(uid = process.getuid?.() ?? -1): Finding {
  return uid === 0 ? ok('user', 'root') : error('user', `uid ${uid}`, 'runsc makes namespaces and cgroups: run it as root');
}

export function checkSeccomp(actions = read('/proc/sys/kernel/seccomp/actions_avail')): Finding {
  if (actions === null) return error('seccomp', 'none', 'the kernel must have CONFIG_SECCOMP_FILTER');
  const lacking = ['kill_process', 'trap', 'errno', 'allow'].filter((a) => !actions.split(' ').includes(a));
  return lacking.length === 0 ? ok('seccomp', actions) : error('seccomp', actions, `a newer kernel has ${lacking.join(', ')}`);
}

export function checkNamespaces(limit = read('/proc/sys/user/max_user_namespaces')): Finding {
  if (limit === null) return error('user namespaces', 'none', 'the kernel must have CONFIG_USER_NS');
  return Number(limit) > 0
    ? ok('user namespaces', `${limit} at most`)
    : error('user namespaces', 'switched off', 'sysctl user.max_user_namespaces=65536');
}

export function checkPtrace(scope = read('/proc/sys/kernel/yama/ptrace_scope')): Finding {
  if (scope === '3')
    return warning(
      'ptrace',
      'switched off (yama 3)',
      'platforms ptrace and KVM without it only: start the machine with yama.ptrace_scope below 3',
    );
  return ok('ptrace', scope === null ? 'no restriction' : `yama ${scope}`);
}

/** Tried, not only looked at: what it can do decides what --platform=kvm costs, and what `auto` takes. */
export function checkKvm(report = reportKvm()): Finding {
  if (report.entry === 0) return note('KVM', `${report.message}: not needed, platform auto takes systrap or ptrace`);
  const choice = isFaster(report) ? 'platform auto takes it' : 'platform auto takes systrap, which is faster here';
  return ok('KVM', `${describeKvm(report)}; ${choice}`);
}

export function checkCgroups(mounts = cgroupMounts()): Finding {
  const v1 = mounts.filter((m) => m.type === 'cgroup').flatMap((m) => m.options);
  const v2 = mounts.find((m) => m.type === 'cgroup2');
  const wanted = ['memory', 'cpu', 'pids'];
  if (v1.length === 0 && v2 === undefined)
    return error('cgroups', 'none mounted', 'mount -t cgroup2 none /sys/fs/cgroup, or set ignore-cgroups');
  const has = v1.length > 0 ? v1 : (read(`${v2?.mountPoint}/cgroup.controllers`) ?? '').split(' ');
  const lacking = wanted.filter((c) => !has.includes(c));
  const version = v1.length > 0 ? 'version 1' : 'version 2';
  return lacking.length === 0
    ? ok('cgroups', version)
    : warning('cgroups', `${version} without ${lacking.join(', ')}`, 'limits of these kinds will be errors: enable the controllers');
}

export function checkMemory(bytes = freemem()): Finding {
  const text = `${Math.round(bytes / (1 << 20))} MiB free`;
  return bytes >= MIN_MEMORY ? ok('memory', text) : warning('memory', text, 'a sandbox may be killed as it starts');
}

/** A program in a sandbox, on each platform. */
export function checkPlatform(platform: 'systrap' | 'ptrace' | 'kvm'): Finding {
  const started = Date.now();
  const r = process
    .getBuiltinModule('node:child_process')
    .spawnSync(
      process.execPath,
      [...process.execArgv, process.argv[1] as string, `--platform=${platform}`, '--network=none', 'do', '--quiet', 'true'],
      {
        encoding: 'utf8',
        timeout: 60_000,
        env: { ...process.env, NODE_NO_WARNINGS: '1' },
      },
    );
  const name = `sandbox (${platform})`;
  if (r.status === 0) return ok(name, `runs; started, ran and ended in ${Date.now() - started} ms`);
  const why = `${r.stderr ?? ''}`.trim().split('\n').slice(0, 3).join(' ') || `status ${r.status}`;
  return (platform === 'systrap' ? error : warning)(
    name,
    why,
    'the lines above say which part of the machine it lacks; runsc --debug do true says more',
  );
}

export function checkContainerd(path = CONTAINERD_CONFIG, name = 'runsc'): Finding[] {
  const version = versionOf('containerd');
  if (version === null) return [note('containerd', 'not installed')];
  const out = [ok('containerd', version.join('.'))];
  const shim = findProgram(SHIM);
  out.push(
    shim === null
      ? error('shim', `${SHIM} is not on the PATH`, 'containerd finds it by its name: npm run install:system')
      : ok('shim', shim),
  );
  if (!existsSync(path))
    return [...out, note('containerd: CRI', `no ${path}: its own defaults`, 'runsc install --containerd, if Kubernetes is to use it')];
  try {
    const { version: file, runtime, misplaced } = findRuntime(readFileSync(path, 'utf8'), name);
    if (misplaced !== null)
      out.push(
        error(
          'containerd: CRI',
          `${path} (version ${file}) has the runtime below ${misplaced}, which this version does not read`,
          'remove it there; runsc install --containerd writes it where it belongs',
        ),
      );
    else if (runtime === null)
      out.push(note('containerd: CRI', `no runtime ${name} in ${path}`, 'runsc install --containerd, if Kubernetes is to use it'));
    else if (runtime.runtime_type !== 'io.containerd.runsc.v1')
      out.push(error('containerd: CRI', `runtime_type is ${JSON.stringify(runtime.runtime_type)}`, 'it must be "io.containerd.runsc.v1"'));
    else out.push(ok('containerd: CRI', `${name} in ${path}`));
  } catch (e) {
    out.push(error('containerd: CRI', `${path}: ${(e as Error).message}`, 'mend the file: containerd does not start with it'));
  }
  return shim === null ? out : [...out, checkShimOptions(shim)];
}

/** The shim reads its own options strictly: it says what is wrong. */
function checkShimOptions(shim: string): Finding {
  const r = process.getBuiltinModule('node:child_process').spawnSync(shim, ['-info'], { input: '', encoding: 'utf8', timeout: 10_000 });
  return r.status === 0 ? ok('shim: options', 'right') : error('shim: options', `${r.stderr}`.trim(), 'no container starts with them');
}

export function checkDocker(path = DOCKER_CONFIG, name = 'runsc'): Finding[] {
  const version = versionOf('dockerd');
  if (version === null) return [note('Docker', 'not installed')];
  const out = [ok('Docker', version.join('.'))];
  if (!existsSync(path)) return [...out, note('Docker: runtime', `no ${path}`, 'runsc install --docker, if Docker is to use it')];
  try {
    const runtime = runtimesOf(parseDaemonJson(readFileSync(path, 'utf8')))[name];
    if (runtime === undefined)
      return [...out, note('Docker: runtime', `no runtime ${name} in ${path}`, 'runsc install --docker, if Docker is to use it')];
    const program = runtime.path ?? '';
    if (program !== '' && findProgram(program.slice(program.lastIndexOf('/') + 1)) === null && !existsSync(program))
      return [...out, error('Docker: runtime', `${program} is not there`, `runsc install --docker writes ${ownPath()}`)];
    if (runtime.runtimeType !== undefined && version[0] < 23)
      return [...out, error('Docker: runtime', 'runtimeType before Docker 23', 'give "path" instead: runsc install --docker')];
    return [...out, ok('Docker: runtime', `${name} in ${path}`)];
  } catch (e) {
    return [...out, error('Docker: runtime', `${path}: ${(e as Error).message}`, 'mend the file: Docker does not start with it')];
  }
}
