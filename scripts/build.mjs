// Bundles each program into dist/NAME.cjs (CommonJS: Node starts it fastest) and puts the addon beside it.
import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readFileSync, renameSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
process.chdir(root);
execFileSync('bash', ['scripts/build-native.sh'], { stdio: 'inherit' });
execFileSync('bash', ['scripts/build-proto.sh'], { stdio: 'inherit' });
mkdirSync('dist', { recursive: true });
const entries = Object.entries({
  runsc: 'runsc/main.ts',
  sentry: 'sentry/main.ts',
  gofer: 'gofer/main.ts',
  'containerd-shim-runsc-v1': 'shim/main.ts',
  bench: 'bench/main.ts',
  'bench-network': 'bench/network.ts',
  fuzz: 'integration/fuzz/run.ts',
  'fuzz-instructions': 'integration/fuzz/run_instructions.ts',
}).filter(([, path]) => existsSync(path));
/** Loaded when they are asked for, so bundles of their own beside the others: an installation has no node_modules. */
const BESIDE = { winston: 'winston', grpc: '@grpc/grpc-js' };
const beside = {
  name: 'libraries beside the programs',
  setup: ({ onResolve }) =>
    onResolve({ filter: /^(winston|@grpc\/grpc-js)$/ }, ({ kind, path }) => {
      const name = Object.keys(BESIDE).find((n) => BESIDE[n] === path);
      return kind === 'entry-point' ? null : { path: `./${name}.cjs`, external: true };
    }),
};
const options = {
  outdir: 'dist',
  outExtension: { '.js': '.cjs' },
  bundle: true,
  platform: 'node',
  format: 'cjs',
  target: 'node24',
  minifySyntax: true,
  supported: { 'dynamic-import': false }, // scripts from the code cache have none: becomes require
  external: ['koffi'],
  logLevel: 'warning',
};
const flags = JSON.parse(readFileSync('lib/node_flags.json', 'utf8'));
await build({
  ...options,
  outExtension: { '.js': '.js' },
  // One byte a character, and a function that Node's module loader would have made.
  charset: 'ascii',
  minifyWhitespace: true,
  banner: { js: '(function (exports, require, module, __filename, __dirname) {' },
  footer: { js: '})' },
  entryPoints: Object.fromEntries(entries),
  plugins: [beside],
});
for (const [name] of entries) {
  copyFileSync('scripts/start-cached.cjs', `dist/${name}.cjs`);
  execFileSync('node_modules/node/bin/node', [...(flags[name] ?? []), 'scripts/write-cache.cjs', `dist/${name}.js`, `dist/${name}.cache`]);
}
for (const [name, module] of Object.entries(BESIDE)) {
  const out = `dist/${name}.cjs`;
  if (!existsSync(out) || statSync(out).mtimeMs < statSync(`node_modules/${module}/package.json`).mtimeMs)
    await build({ ...options, entryPoints: { [name]: module }, minify: true });
}
// Beside the old one, then in its place: running sandboxes keep what they have open.
for (const name of ['tsvisor_native.node', 'ptrace_stub', 'systrap_stub', 'runsc-waiter', 'runsc-sockets', 'runsc-pause']) {
  copyFileSync(`native-addon/build/Release/${name}`, `dist/${name}.new`);
  renameSync(`dist/${name}.new`, `dist/${name}`);
}
execFileSync('node_modules/node/bin/node', ['scripts/train-caches.mjs'], { stdio: 'inherit' });
