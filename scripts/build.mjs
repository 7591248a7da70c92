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
  fuzz: 'integration/fuzz/run.ts',
}).filter(([, path]) => existsSync(path));
/** Loaded when a log file is asked for, so a bundle of its own beside the others: an installation has no node_modules. */
const winston = {
  name: 'winston beside the programs',
  setup: ({ onResolve }) =>
    onResolve({ filter: /^winston$/ }, ({ kind }) => (kind === 'entry-point' ? null : { path: './winston.cjs', external: true })),
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
  external: ['koffi', '@grpc/grpc-js', '@grpc/proto-loader'],
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
  plugins: [winston],
});
for (const [name] of entries) {
  copyFileSync('scripts/start-cached.cjs', `dist/${name}.cjs`);
  execFileSync('node_modules/node/bin/node', [...(flags[name] ?? []), 'scripts/write-cache.cjs', `dist/${name}.js`, `dist/${name}.cache`]);
}
if (!existsSync('dist/winston.cjs') || statSync('dist/winston.cjs').mtimeMs < statSync('node_modules/winston/package.json').mtimeMs)
  await build({ ...options, entryPoints: { winston: 'winston' }, minify: true });
// Beside the old one, then in its place: running sandboxes keep what they have open.
for (const name of ['tsvisor_native.node', 'ptrace_stub', 'systrap_stub', 'runsc-waiter']) {
  copyFileSync(`native-addon/build/Release/${name}`, `dist/${name}.new`);
  renameSync(`dist/${name}.new`, `dist/${name}`);
}
