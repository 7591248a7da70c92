/**
 * The manifests of docs/kubernetes, read by kubectl: once as they are, and once into the types that kubectl knows, which drop what they do
 * not have. Whatever the second lacks is a field that Kubernetes would ignore. kubectl asks a server which kinds there are: this is one.
 */
import { execFile, spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join, resolve } from 'node:path';

const FOLDER = resolve(__dirname, '../../docs/kubernetes');
const manifests = readdirSync(FOLDER).filter((name) => name.endsWith('.yaml'));
const suite = spawnSync('kubectl', ['version', '--client']).status === 0 ? describe : describe.skip;

const GROUPS: Readonly<Record<string, readonly (readonly [kind: string, name: string, namespaced: boolean])[]>> = {
  v1: [
    ['Namespace', 'namespaces', false],
    ['ConfigMap', 'configmaps', true],
    ['Pod', 'pods', true],
  ],
  'apps/v1': [['DaemonSet', 'daemonsets', true]],
  'node.k8s.io/v1': [['RuntimeClass', 'runtimeclasses', false]],
};

function answer(path: string): object | null {
  if (path === '/api') return { kind: 'APIVersions', versions: ['v1'] };
  if (path === '/apis') {
    const groups = Object.keys(GROUPS).filter((g) => g.includes('/'));
    const version = (groupVersion: string) => ({ groupVersion, version: groupVersion.split('/')[1] });
    return {
      kind: 'APIGroupList',
      apiVersion: 'v1',
      groups: groups.map((g) => ({ name: g.split('/')[0], versions: [version(g)], preferredVersion: version(g) })),
    };
  }
  const groupVersion = path.replace(/^\/apis?\//, '');
  const kinds = GROUPS[groupVersion];
  if (kinds === undefined) return null;
  const resources = kinds.map(([kind, name, namespaced]) => ({
    kind,
    name,
    singularName: '',
    namespaced,
    verbs: ['create', 'get', 'patch'],
  }));
  return { kind: 'APIResourceList', apiVersion: 'v1', groupVersion, resources };
}

suite('manifests', () => {
  let server: Server;
  beforeAll(async () => {
    server = createServer((request, response) => {
      const body = answer(new URL(request.url ?? '/', 'http://x').pathname);
      response.writeHead(body === null ? 404 : 200, { 'content-type': 'application/json' }).end(JSON.stringify(body ?? {}));
    });
    await new Promise<void>((r) => server.listen(0, '127.0.0.1', r));
  });
  afterAll(() => void server?.close());

  const kubectl = (...args: string[]): Promise<string> =>
    new Promise((done, fail) => {
      const at = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
      execFile('kubectl', ['--server', at, '--cache-dir', '/nonexistent', ...args], { maxBuffer: 16 << 20 }, (error, stdout, stderr) =>
        error === null ? done(stdout) : fail(new Error(stderr)),
      );
    });
  /** kubectl prints objects one after the other. */
  const objects = (text: string): unknown[] => JSON.parse(`[${text.replaceAll(/\n\}\n\{/g, '\n},\n{')}]`) as unknown[];

  test.each(manifests)('%s has only fields that Kubernetes knows', async (name) => {
    const file = join(FOLDER, name);
    const create = ['create', '--dry-run=client', '--validate=false', '-o', 'json', '-f', file];
    const written = objects((await kubectl(...create)).replaceAll(/,?\s*"namespace": "default"/g, '')); // kubectl's own addition
    const known = objects(await kubectl('label', '--local', '-o', 'json', '-f', file, 'checked=yes'));
    expect(written.length).toBeGreaterThan(0);
    expect(known).toMatchObject(written as object[]);
  });

  test('the installer runs its own script with the tools that it names', async () => {
    const all = objects(
      await kubectl('create', '--dry-run=client', '--validate=false', '-o', 'json', '-f', join(FOLDER, 'installer.yaml')),
    );
    const config = all.find((o) => (o as { kind: string }).kind === 'ConfigMap') as { data: Record<string, string> };
    const r = spawnSync('sh', ['-n'], { input: config.data['install.sh'], encoding: 'utf8' });
    expect([r.status, r.stderr]).toEqual([0, '']);
  });
});
