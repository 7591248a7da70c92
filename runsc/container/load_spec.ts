/** Reads and checks config.json. Errors name the field, as a path into the document. */
import { readFileSync } from 'node:fs';
import { isAbsolute, join, resolve } from 'node:path';
import type { Spec, SpecHooks, SpecLinux, SpecProcess } from './spec.ts';
import { RuntimeError } from './types.ts';

/** Largest config.json. */
const MAX_SPEC_BYTES = 3 << 20;
const MAX_ID = 1024;

/** Container and exec ids are names of files and of cgroups. */
export function checkId(id: string, what = 'container id'): void {
  if (!/^[\w+.-]+$/.test(id) || id === '.' || id === '..' || id.length > MAX_ID) {
    throw new RuntimeError('Invalid', `${what} ${JSON.stringify(id)} is not valid: letters, digits and _ + - . are`);
  }
}

export function loadSpec(bundle: string): { readonly spec: Spec; readonly text: string } {
  const path = join(bundle, 'config.json');
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (e) {
    throw new RuntimeError('Invalid', `cannot read ${path}: ${(e as Error).message}`, e);
  }
  if (text.length > MAX_SPEC_BYTES) throw new RuntimeError('Invalid', `${path} is longer than ${MAX_SPEC_BYTES} bytes`);
  try {
    return { spec: checkSpec(JSON.parse(text)), text };
  } catch (e) {
    throw new RuntimeError('Invalid', `${path}: ${(e as Error).message}`, e);
  }
}

export function rootfsPath(bundle: string, spec: Spec): string {
  return isAbsolute(spec.root.path) ? spec.root.path : resolve(bundle, spec.root.path);
}

type Json = Readonly<Record<string, unknown>>;

/** One value of the document and where it stands. */
class Field {
  readonly value: unknown;
  readonly path: string;
  constructor(value: unknown, path: string) {
    this.value = value;
    this.path = path;
  }
  get absent(): boolean {
    return this.value === undefined || this.value === null;
  }
  fail(want: string): never {
    throw new Error(`${this.path === '' ? 'the document' : this.path}: ${this.absent ? `is missing (${want})` : `is not ${want}`}`);
  }
  at(key: string): Field {
    return new Field((this.value as Json)[key], this.path === '' ? key : `${this.path}.${key}`);
  }
  object(): this {
    return typeof this.value === 'object' && this.value !== null && !Array.isArray(this.value) ? this : this.fail('an object');
  }
  string(): string {
    if (typeof this.value !== 'string') return this.fail('a string');
    return this.value.includes('\0') ? this.fail('free of NUL characters') : this.value;
  }
  absolutePath(): string {
    const path = this.string();
    return path.startsWith('/') ? path : this.fail('an absolute path');
  }
  integer(min: number, max = Number.MAX_SAFE_INTEGER): number {
    const ok = typeof this.value === 'number' && Number.isInteger(this.value) && this.value >= min && this.value <= max;
    return ok ? (this.value as number) : this.fail(`a whole number from ${min}${max === Number.MAX_SAFE_INTEGER ? '' : ` to ${max}`}`);
  }
  boolean(): void {
    if (typeof this.value !== 'boolean') this.fail('true or false');
  }
  each(check: (element: Field) => void): void {
    if (this.absent) return;
    if (!Array.isArray(this.value)) this.fail('a list');
    for (const [i, v] of (this.value as unknown[]).entries()) check(new Field(v, `${this.path}[${i}]`));
  }
  strings(): void {
    this.each((f) => void f.string());
  }
  optional(check: (field: Field) => void): void {
    if (!this.absent) check(this);
  }
}

/** @throws Error that names the first field which is wrong. */
export function checkSpec(json: unknown): Spec {
  const spec = new Field(json, '').object();
  const version = spec.at('ociVersion').string();
  if (!version.startsWith('1.')) spec.at('ociVersion').fail('of version 1.x');
  if (spec.at('root').object().at('path').string() === '') spec.at('root.path').fail('a path');
  spec
    .at('root')
    .at('readonly')
    .optional((f) => f.boolean());
  spec.at('process').optional(checkProcessField);
  spec.at('hostname').optional((f) => void f.string());
  spec.at('mounts').each((m) => {
    if (m.object().at('destination').string() === '') m.at('destination').fail('a path');
    m.at('type').optional((f) => void f.string());
    m.at('source').optional((f) => void f.string());
    m.at('options').strings();
    checkMappings(m);
  });
  spec.at('annotations').optional((a) => {
    for (const key of Object.keys(a.object().value as Json)) a.at(key).string();
  });
  spec.at('hooks').optional(checkHooks);
  spec.at('linux').optional(checkLinux);
  return json as Spec;
}

/** For exec's process document. */
export function checkProcess(json: unknown): SpecProcess {
  try {
    checkProcessField(new Field(json, 'process'));
  } catch (e) {
    throw new RuntimeError('Invalid', (e as Error).message, e);
  }
  return json as SpecProcess;
}

const MAX_ID_NUMBER = 0xffff_fffe;

function checkProcessField(process: Field): void {
  process.object();
  process.at('cwd').absolutePath();
  const args = process.at('args');
  args.strings();
  if (args.absent || (args.value as unknown[]).length === 0) args.fail('a list of at least one string');
  process.at('env').each((f) => {
    if (f.string().indexOf('=') === 0) f.fail('of the form NAME=value');
  });
  process.at('terminal').optional((f) => f.boolean());
  const user = process.at('user');
  user.optional((u) => {
    u.object()
      .at('uid')
      .optional((f) => void f.integer(0, MAX_ID_NUMBER));
    u.at('gid').optional((f) => void f.integer(0, MAX_ID_NUMBER));
    u.at('umask').optional((f) => void f.integer(0, 0o777));
    u.at('additionalGids').each((f) => void f.integer(0, MAX_ID_NUMBER));
  });
  for (const set of ['bounding', 'effective', 'inheritable', 'permitted', 'ambient']) {
    process.at('capabilities').optional((c) => c.object().at(set).strings());
  }
  process.at('rlimits').each((r) => {
    if (!/^RLIMIT_[A-Z]+$/.test(r.object().at('type').string())) r.at('type').fail('a name such as RLIMIT_NOFILE');
    r.at('soft').integer(0, Number.MAX_VALUE);
    r.at('hard').integer(0, Number.MAX_VALUE);
    if ((r.at('soft').value as number) > (r.at('hard').value as number)) r.at('soft').fail('at or below the hard limit');
  });
  process.at('oomScoreAdj').optional((f) => void f.integer(-1000, 1000));
  process.at('noNewPrivileges').optional((f) => f.boolean());
}

function checkHooks(hooks: Field): void {
  const names: (keyof SpecHooks)[] = ['prestart', 'createRuntime', 'createContainer', 'startContainer', 'poststart', 'poststop'];
  for (const name of names) {
    hooks
      .object()
      .at(name)
      .each((h) => {
        h.object().at('path').absolutePath();
        h.at('args').strings();
        h.at('env').strings();
        h.at('timeout').optional((f) => void f.integer(1));
      });
  }
}

/** user_namespaces(7): at most 340 ranges a map. */
function checkMappings(owner: Field): void {
  for (const key of ['uidMappings', 'gidMappings']) {
    const list = owner.at(key);
    list.each((mapping) => {
      for (const id of ['containerID', 'hostID']) mapping.object().at(id).integer(0, MAX_ID_NUMBER);
      mapping.at('size').integer(1, NO_ID);
    });
    if (((list.value ?? []) as unknown[]).length > MAX_RANGES) list.fail(`a list of at most ${MAX_RANGES} ranges`);
  }
}
const NO_ID = 0xffff_ffff;
const MAX_RANGES = 340;

const NAMESPACES = ['pid', 'network', 'mount', 'ipc', 'uts', 'user', 'cgroup', 'time'];

function checkLinux(linux: Field): void {
  linux
    .object()
    .at('namespaces')
    .each((n) => {
      if (!NAMESPACES.includes(n.object().at('type').string())) n.at('type').fail(`one of ${NAMESPACES.join(', ')}`);
      n.at('path').optional((f) => {
        if (f.string() !== '') f.absolutePath();
      });
    });
  checkMappings(linux);
  linux.at('cgroupsPath').optional((f) => void f.string());
  const keys: (keyof SpecLinux)[] = ['maskedPaths', 'readonlyPaths'];
  for (const key of keys) linux.at(key).each((f) => void f.absolutePath());
  linux.at('devices').each((d) => {
    d.object().at('path').absolutePath();
    if (!['c', 'b', 'u', 'p'].includes(d.at('type').string())) d.at('type').fail('c, b, u or p');
  });
  linux.at('sysctl').optional((s) => void s.object());
  linux.at('resources').optional((r) => {
    const memory = r.object().at('memory');
    memory.optional((m) =>
      m
        .object()
        .at('limit')
        .optional((f) => void f.integer(-1, Number.MAX_VALUE)),
    );
    r.at('pids').optional((p) =>
      p
        .object()
        .at('limit')
        .optional((f) => void f.integer(-1, Number.MAX_VALUE)),
    );
  });
}
