/** runsc install: what it writes is what containerd reads, and uninstall leaves the file as it was. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { missing } from './containerd.ts';
import { CHECKOUT, isInstalled, majorOf, OTHER_VERSIONS, pathFor, type Version } from './versions.ts';

const RUNSC = join(CHECKOUT, 'bin/runsc');

for (const version of ['system', ...OTHER_VERSIONS] as Version[]) {
  const suite = missing().length === 0 && isInstalled(version) ? describe : describe.skip;
  suite(`runsc install for containerd ${version}`, () => {
    const folder = mkdtempSync(join(tmpdir(), 'tsvisor-install-'));
    const path = join(folder, 'config.toml');
    const env = { ...process.env, PATH: pathFor(version) };
    const runsc = (...args: string[]) => spawnSync(RUNSC, [...args, '--containerd-config', path], { env, encoding: 'utf8' });
    const dump = () => spawnSync('containerd', ['--config', path, 'config', 'dump'], { env, encoding: 'utf8' }).stdout;
    afterAll(() => rmSync(folder, { recursive: true, force: true }));

    test('a file that is there keeps what it has', () => {
      const text = `# a comment\nversion = ${majorOf(version) >= 2 ? 3 : 2}\nroot = "${folder}/root"\n\n[debug]\n  level = "warn" # kept\n`;
      writeFileSync(path, text);
      expect(runsc('install')).toMatchObject({ status: 0, stdout: expect.stringContaining('changed') });
      expect(runsc('install')).toMatchObject({ status: 0, stdout: expect.stringContaining('unchanged') });
      expect(dump()).toMatch(/runtimes\.runsc\][\s\S]*?runtime_type = ['"]io\.containerd\.runsc\.v1['"]/);
      expect(readFileSync(`${path}.before-runsc`, 'utf8')).toBe(text);
      expect(runsc('uninstall').status).toBe(0);
      expect(readFileSync(path, 'utf8')).toBe(text);
    }, 30_000);

    test('a file that is not there is made for this containerd, and goes again', () => {
      rmSync(path, { force: true });
      rmSync(`${path}.before-runsc`, { force: true });
      expect(runsc('install')).toMatchObject({ status: 0, stdout: expect.stringContaining('created') });
      expect(dump()).toContain('io.containerd.runsc.v1');
      const found = JSON.parse(runsc('doctor', '--format', 'json').stdout) as { check: string; status: string }[];
      expect(found.find((f) => f.check === 'containerd: CRI')?.status).toBe('ok');
      expect(runsc('uninstall')).toMatchObject({ status: 0, stdout: expect.stringContaining('removed') });
    }, 60_000);

    test('a file that is wrong is left alone', () => {
      writeFileSync(path, 'version = ');
      const r = runsc('install');
      expect(r.status).toBe(1);
      expect(r.stderr).toContain(`${path}: it is not TOML`);
      expect(readFileSync(path, 'utf8')).toBe('version = ');
    }, 30_000);
  });
}
