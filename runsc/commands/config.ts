/** spec, update, features, version: documents in and out. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { command } from '../cli/command.ts';
import { UsageError } from '../cli/flags.ts';
import { OCI_VERSION, versionText } from '../cli/version.ts';
import type { SpecResources } from '../container/spec.ts';
import { RuntimeError } from '../container/types.ts';
import { defaultSpec } from './default_spec.ts';

export const spec = command('spec', {
  usage: '[-- COMMAND…]',
  summary: 'write a config.json to start from',
  flags: { bundle: { kind: 'string', alias: 'b', help: 'folder for it (default: the current one)' }, rootless: { kind: 'bool' } },
  words: [0, Number.POSITIVE_INFINITY],
  run: (_context, { bundle = '.' }, words) => {
    const path = join(bundle, 'config.json');
    if (existsSync(path)) throw new RuntimeError('Exists', `file ${path} exists. Remove it first`);
    writeFileSync(path, `${JSON.stringify(defaultSpec(words.length === 0 ? undefined : words), null, 2)}\n`);
    return 0;
  },
});

/** Flags that set one number: where it stands in linux.resources. */
const NUMBERS = {
  memory: ['memory', 'limit'],
  'memory-reservation': ['memory', 'reservation'],
  'memory-swap': ['memory', 'swap'],
  'cpu-share': ['cpu', 'shares'],
  'cpu-quota': ['cpu', 'quota'],
  'cpu-period': ['cpu', 'period'],
  'pids-limit': ['pids', 'limit'],
} as const;

const REAL_TIME = 'processes of a sandbox have no real-time priority on the host';
const RDT = 'cache and memory bandwidth are not divided among sandboxes';

export const update = command('update', {
  usage: 'ID',
  summary: 'change the limits of a container',
  flags: {
    resources: { kind: 'string', alias: 'r', help: 'file with "resources" of an OCI spec, - for stdin' },
    memory: { kind: 'size', help: 'bytes' },
    'memory-reservation': { kind: 'size', help: 'bytes' },
    'memory-swap': { kind: 'size', help: 'bytes, memory included' },
    'cpu-share': { kind: 'int', help: 'weight against other containers' },
    'cpu-quota': { kind: 'int', help: 'microseconds of each period' },
    'cpu-period': { kind: 'int', help: 'microseconds' },
    'pids-limit': { kind: 'int', help: 'processes' },
    'cpuset-cpus': { kind: 'string', help: 'CPUs to use' },
    'cpuset-mems': { kind: 'string', help: 'memory nodes to use' },
    'blkio-weight': { kind: 'int', refused: 'files of containers have no share of a disk' },
    'cpu-rt-period': { kind: 'int', refused: REAL_TIME },
    'cpu-rt-runtime': { kind: 'int', refused: REAL_TIME },
    'l3-cache-schema': { kind: 'string', refused: RDT },
    'mem-bw-schema': { kind: 'string', refused: RDT },
    // Kernels do not count it by itself any more.
    'kernel-memory': { kind: 'size' },
    'kernel-memory-tcp': { kind: 'size' },
  },
  words: [1, 1],
  run: async ({ containers }, flags, [id]) => {
    const given = flags.resources === undefined ? {} : readResources(flags.resources);
    const resources: Record<string, Record<string, unknown>> = structuredClone(given) as Record<string, Record<string, unknown>>;
    const set = (part: string, key: string, value: unknown): void => {
      if (value !== undefined) resources[part] = { ...resources[part], [key]: value };
    };
    for (const [flag, [part, key]] of Object.entries(NUMBERS)) set(part, key, flags[flag as keyof typeof NUMBERS]);
    set('cpu', 'cpus', flags['cpuset-cpus']);
    set('cpu', 'mems', flags['cpuset-mems']);
    await (await containers.load(id as string)).update(resources as SpecResources);
    return 0;
  },
});

function readResources(path: string): SpecResources {
  try {
    return JSON.parse(readFileSync(path === '-' ? 0 : path, 'utf8')) as SpecResources;
  } catch (e) {
    throw new UsageError(`--resources: ${(e as Error).message}`);
  }
}

/** OCI features structure (features.md): what a caller may put into a spec. */
export const features = command('features', {
  usage: '',
  summary: 'what this runtime supports, JSON',
  flags: {},
  words: [0, 0],
  run: () => {
    const document = {
      ociVersionMin: '1.0.0',
      ociVersionMax: OCI_VERSION,
      hooks: ['prestart', 'createRuntime', 'createContainer', 'startContainer', 'poststart', 'poststop'],
      mountOptions: [
        'bind',
        'dev',
        'exec',
        'idmap',
        'noatime',
        'nodev',
        'nodiratime',
        'noexec',
        'nosuid',
        'private',
        'rbind',
        'relatime',
        'ridmap',
        'ro',
        'rprivate',
        'rw',
        'strictatime',
        'suid',
      ],
      linux: {
        namespaces: ['cgroup', 'ipc', 'mount', 'network', 'pid', 'user', 'uts'],
        cgroup: { v1: true, v2: true, systemd: true, systemdUser: false, rdma: false },
        seccomp: { enabled: false },
        apparmor: { enabled: false },
        selinux: { enabled: false },
        mountExtensions: { idmap: { enabled: true } },
      },
    };
    process.stdout.write(`${JSON.stringify(document, null, 2)}\n`);
    return 0;
  },
});

export const version = command('version', {
  usage: '',
  summary: 'the version',
  flags: {},
  words: [0, 0],
  run: () => {
    process.stdout.write(`${versionText()}\n`);
    return 0;
  },
});
