import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'smol-toml';
import { addRuntime, findRuntime, removeRuntime } from './containerd_config.ts';
import { addDockerRuntime, removeDockerRuntime } from './docker_config.ts';
import { BACKUP, editFile } from './edit_file.ts';

const TABLE = { name: 'runsc', options: null };
const V2 = '# mine\nversion = 2\n[plugins."io.containerd.grpc.v1.cri".containerd] # keep\n  default_runtime_name = "runc"\n';

test.each([
  ['version 2', V2, 'io.containerd.grpc.v1.cri'],
  ['version 3', 'version = 3\nroot = "/r"\n', 'io.containerd.cri.v1.runtime'],
  ['no version', 'root = "/r"\n', 'cri'],
  ['nothing', '', 'cri'],
])('a table is added to %s and taken away again, to the byte', (_what, text, plugin) => {
  const added = addRuntime(text, TABLE);
  expect(added.startsWith(text)).toBe(true);
  const plugins = parse(added).plugins as Record<string, { containerd: { runtimes: { runsc: unknown } } }>;
  expect(plugins[plugin]?.containerd.runtimes.runsc).toMatchObject({ runtime_type: 'io.containerd.runsc.v1' });
  expect(addRuntime(added, TABLE)).toBe(added);
  expect(removeRuntime(added)).toBe(text);
  expect(removeRuntime(text)).toBe(text);
});

test('other options replace the table; what stands behind it stays', () => {
  const added = `${addRuntime(V2, TABLE)}# after\n`;
  const changed = addRuntime(added, { name: 'runsc', options: '/etc/x.toml' });
  expect(changed).toContain('ConfigPath = "/etc/x.toml"');
  expect(changed).toContain('# after');
  expect(changed.match(/runtime_type/g)).toHaveLength(1);
});

test("somebody's own table is left alone, a wrong file is an error", () => {
  const own = `${V2}[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runsc]\n  runtime_type = "io.containerd.runsc.v1"\n`;
  expect(addRuntime(own, TABLE)).toBe(own);
  expect(() => addRuntime(own.replace('runsc.v1"\n', 'other.v1"\n'), TABLE)).toThrow(/configured already.*other/);
  expect(() => addRuntime('version = ', TABLE)).toThrow('not TOML');
  const inline = 'version = 2\n[plugins."io.containerd.grpc.v1.cri".containerd]\nruntimes = { runc = { runtime_type = "x" } }\n';
  expect(() => addRuntime(inline, TABLE)).toThrow();
});

test('a table of the other version is found out', () => {
  const wrong = 'version = 3\n[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runsc]\nruntime_type = "io.containerd.runsc.v1"\n';
  expect(findRuntime(wrong, 'runsc')).toMatchObject({ version: 3, runtime: null, misplaced: 'io.containerd.grpc.v1.cri' });
});

test('daemon.json keeps what it has, in its order and its indentation', () => {
  const text = '{\n\t"log-level": "warn",\n\t"runtimes": {\n\t\t"other": {\n\t\t\t"path": "/o"\n\t\t}\n\t},\n\t"bip": "10.0.0.1/8"\n}\n';
  const runtime = { name: 'runsc', path: '/usr/local/bin/runsc', args: ['--overlay2=none'], makeDefault: true };
  const added = addDockerRuntime(text, runtime);
  expect(JSON.parse(added)).toEqual({
    'log-level': 'warn',
    runtimes: { other: { path: '/o' }, runsc: { path: '/usr/local/bin/runsc', runtimeArgs: ['--overlay2=none'] } },
    bip: '10.0.0.1/8',
    'default-runtime': 'runsc',
  });
  expect(added).toContain('\n\t"log-level"');
  expect(addDockerRuntime(added, runtime)).toBe(added);
  expect(removeDockerRuntime(added, 'runsc')).toBe(text);
  expect(JSON.parse(removeDockerRuntime(addDockerRuntime('', runtime), 'runsc'))).toEqual({});
  expect(() => addDockerRuntime('{', runtime)).toThrow('not JSON');
  expect(() => addDockerRuntime('{"runtimes": []}', runtime)).toThrow('runtimes');
});

test('a file is changed whole, keeps its mode, and leaves what it was', () => {
  const folder = mkdtempSync(join(tmpdir(), 'edit-'));
  const path = join(folder, 'a/file');
  expect(editFile(path, () => 'one')).toBe('created');
  expect(editFile(path, (text) => text)).toBe('unchanged');
  writeFileSync(join(folder, 'private'), 'x', { mode: 0o600 });
  expect(editFile(join(folder, 'private'), (text) => `${text}y`)).toBe('changed');
  expect(statSync(join(folder, 'private')).mode & 0o777).toBe(0o600);
  expect(readFileSync(join(folder, `private${BACKUP}`), 'utf8')).toBe('x');
  expect(editFile(path, () => null)).toBe('removed');
  rmSync(folder, { recursive: true });
});
