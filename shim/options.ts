/**
 * Options of the runtime: a protobuf Any (on `start`'s and -info's stdin, and in Create) that names a TOML file or holds its
 * text. Keys are strict: a wrong one is an error that names it.
 */
import { readFileSync } from 'node:fs';
import { HOST_FIFO_POLICIES, HOST_UDS_POLICIES } from '../lib/gofer_config.ts';
import { text, wireFields } from '../lib/ttrpc/wire.ts';
import { parseOverlay2 } from '../runsc/container/overlay_setting.ts';
import type { RuntimeSettings } from '../runsc/container/types.ts';

/** Read when the options name no file. */
export const DEFAULT_CONFIG = '/etc/containerd/runsc.toml';
const OPTIONS_TYPES = ['runtimeoptions.v1.Options', 'cri.runtimeoptions.v1.Options', 'io.containerd.runsc.v1.options'];

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';
export const LOG_LEVELS: readonly LogLevel[] = ['debug', 'info', 'warn', 'error'];

export type Grouping = 'pod' | 'node' | 'none';

export interface ShimOptions {
  readonly logLevel: LogLevel;
  /** File for this shim's log, besides containerd's; %ID% and %NAMESPACE% are replaced. Empty: none. */
  readonly logPath: string;
  /** Which containers share one daemon: those of a pod, all of the node, or none. */
  readonly grouping: Grouping;
  /** 2: announced by a plain address; 3: by JSON, for containerd 2.x. */
  readonly taskApi: 2 | 3;
  /** How containerd is to speak to the shim. */
  readonly protocol: 'ttrpc' | 'grpc';
  /** Names of runsc's settings that a pod's annotations may choose. */
  readonly allowedAnnotations: readonly string[];
  /** Overrides of the runtime's settings. */
  readonly runscConfig: Partial<Record<keyof RuntimeSettings, unknown>>;
}

export const DEFAULT_OPTIONS: ShimOptions = {
  logLevel: 'info',
  logPath: '',
  grouping: 'pod',
  taskApi: 2,
  protocol: 'ttrpc',
  allowedAnnotations: [],
  runscConfig: {},
};

export class OptionsError extends Error {}

/** What the Any points to. Types that are not ours (containerd.runc.v1.Options) say nothing. */
export interface OptionsSource {
  readonly path: string;
  readonly body: string;
}

export function decodeOptionsAny(any: Uint8Array): OptionsSource {
  let typeUrl = '';
  let value: Uint8Array = new Uint8Array(0);
  for (const f of wireFields(any)) {
    if (f.field === 1) typeUrl = text(f.bytes);
    else if (f.field === 2) value = f.bytes;
  }
  return optionsSource(typeUrl, value);
}

export function optionsSource(typeUrl: string, value: Uint8Array): OptionsSource {
  const name = typeUrl.slice(typeUrl.lastIndexOf('/') + 1);
  let path = '';
  let body = '';
  if (OPTIONS_TYPES.includes(name)) {
    for (const f of wireFields(value)) {
      if (f.field === 2) path = text(f.bytes);
      else if (f.field === 3) body = text(f.bytes);
    }
  }
  return { path, body };
}

/** The options that `source` names; without one, those of the default file if it exists. */
export async function loadOptions(source: OptionsSource): Promise<ShimOptions> {
  if (source.body !== '') return parseOptions(source.body, 'the options');
  const path = source.path === '' ? DEFAULT_CONFIG : source.path;
  let content: string;
  try {
    content = readFileSync(path, 'utf8');
  } catch (error) {
    if (source.path === '' && (error as NodeJS.ErrnoException).code === 'ENOENT') return DEFAULT_OPTIONS;
    throw new OptionsError(`cannot read the options file ${path}: ${(error as Error).message}`);
  }
  return parseOptions(content, path);
}

async function parseOptions(content: string, origin: string): Promise<ShimOptions> {
  const { parse } = await import('smol-toml'); // not on the way of a start without options
  let table: Record<string, unknown>;
  try {
    table = parse(content);
  } catch (error) {
    throw new OptionsError(`${origin}: ${(error as Error).message}`);
  }
  return checkOptions(table, origin);
}

type Check = (value: unknown) => string | null;
const oneOf =
  (...values: readonly unknown[]): Check =>
  (v) =>
    values.includes(v) ? null : `one of ${values.map((x) => JSON.stringify(x)).join(', ')}`;
const boolean: Check = (v) => (typeof v === 'boolean' ? null : 'true or false');
const string: Check = (v) => (typeof v === 'string' ? null : 'a string');

const KEYS: Readonly<Record<string, Check>> = {
  log_level: oneOf(...LOG_LEVELS),
  log_path: string,
  grouping: oneOf('pod', 'node', 'none', true, false),
  task_api: oneOf(2, 3),
  protocol: oneOf('ttrpc', 'grpc'),
  allowed_annotations: (v) => (Array.isArray(v) && v.every((n) => typeof n === 'string') ? null : 'a list of strings'),
  runsc_config: (v) => (typeof v === 'object' && v !== null && !Array.isArray(v) ? null : 'a table'),
};

/** Names as runsc's flags, and the settings that they set. Booleans may be strings, as flags are. */
const RUNSC_KEYS: Readonly<Record<string, readonly [keyof RuntimeSettings, Check]>> = {
  root: ['root', string],
  platform: ['platform', oneOf('auto', 'ptrace', 'systrap', 'kvm')],
  network: ['network', oneOf('sandbox', 'host', 'none')],
  overlay2: ['overlay2', (v) => (typeof v === 'string' && parseOverlay2(v) !== null ? null : 'what runsc --overlay2 takes')],
  'host-uds': ['hostUds', oneOf(...HOST_UDS_POLICIES)],
  'host-fifo': ['hostFifo', oneOf(...HOST_FIFO_POLICIES)],
  directfs: ['directfs', boolean],
  'patch-syscalls': ['patchSyscalls', boolean],
  'systemd-cgroup': ['systemdCgroup', boolean],
  'ignore-cgroups': ['ignoreCgroups', boolean],
  debug: ['debug', boolean],
  'debug-log': ['debugLog', string],
  strace: ['strace', boolean],
};

/** What a pod may be allowed to choose: nothing that names a place on the host. */
const ANNOTATION_KEYS = ['platform', 'network', 'overlay2', 'debug', 'strace'];

/** The setting that a name stands for, and its value. `key`: what errors call it. @throws OptionsError */
export function runscSetting(name: string, value: unknown, key: string, origin = ''): [keyof RuntimeSettings, unknown] {
  const row = RUNSC_KEYS[name.replaceAll('_', '-')];
  if (row === undefined) throw new OptionsError(`${origin}unknown key ${key}`);
  const [setting, check] = row;
  const plain = check === boolean && (value === 'true' || value === 'false') ? value === 'true' : value;
  const wanted = check(plain);
  if (wanted !== null) throw new OptionsError(`${origin}${key} must be ${wanted}`);
  return [setting, plain];
}

function checkOptions(table: Record<string, unknown>, origin: string): ShimOptions {
  for (const [key, value] of Object.entries(table)) {
    const check = KEYS[key];
    if (check === undefined) throw new OptionsError(`${origin}: unknown key ${key}`);
    const wanted = check(value);
    if (wanted !== null) throw new OptionsError(`${origin}: ${key} must be ${wanted}`);
  }
  const runscConfig: Partial<Record<keyof RuntimeSettings, unknown>> = {};
  for (const [key, value] of Object.entries((table.runsc_config as Record<string, unknown>) ?? {})) {
    const [setting, plain] = runscSetting(key, value, `runsc_config.${key}`, `${origin}: `);
    runscConfig[setting] = plain;
  }
  const allowedAnnotations = (table.allowed_annotations as string[]) ?? [];
  for (const name of allowedAnnotations) {
    if (!ANNOTATION_KEYS.includes(name))
      throw new OptionsError(`${origin}: allowed_annotations: ${name} is none of ${ANNOTATION_KEYS.join(', ')}`);
  }
  return {
    logLevel: (table.log_level as LogLevel) ?? DEFAULT_OPTIONS.logLevel,
    logPath: (table.log_path as string) ?? '',
    grouping: groupingOf(table.grouping),
    taskApi: (table.task_api as 2 | 3) ?? 2,
    protocol: (table.protocol as 'ttrpc' | 'grpc') ?? 'ttrpc',
    allowedAnnotations,
    runscConfig,
  };
}

/** true and false are the older way to write it. */
function groupingOf(value: unknown): Grouping {
  if (value === false) return 'none';
  return value === undefined || value === true ? 'pod' : (value as Grouping);
}

/** The runtime's settings under these options. */
export function runtimeSettings(options: ShimOptions, root: string): RuntimeSettings {
  const defaults: RuntimeSettings = {
    root,
    platform: 'auto',
    network: 'sandbox',
    egressPolicy: null,
    egressLog: null,
    pcap: null,
    overlay2: 'root:memory',
    hostUds: 'none',
    hostFifo: 'none',
    directfs: false,
    patchSyscalls: true,
    systemdCgroup: false,
    ignoreCgroups: false,
    debug: false,
    debugLog: null,
    strace: false,
  };
  return { ...defaults, ...(options.runscConfig as Partial<RuntimeSettings>) };
}
