// Bundles each program into dist/NAME.cjs (CommonJS: Node starts it fastest) and puts the addon beside it.
import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync } from 'node:fs';
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
}).filter(([, path]) => existsSync(path));
await build({
  entryPoints: Object.fromEntries(entries),
  outdir: 'dist',
  outExtension: { '.js': '.cjs' },
  bundle: true,
  platform: 'node',
  format: 'cjs',
  target: 'node24',
  minifySyntax: true,
  // Heavy or native packages are loaded from node_modules when they are needed.
  external: ['koffi', '@grpc/grpc-js', '@grpc/proto-loader', 'winston'],
  logLevel: 'warning',
});
for (const name of ['tsvisor_native.node', 'ptrace_stub']) copyFileSync(`native-addon/build/Release/${name}`, `dist/${name}`);
