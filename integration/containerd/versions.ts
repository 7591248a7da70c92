/** The containerds that the suites run: this machine's own, and those that scripts/containerd-versions.sh has unpacked beside it. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';

export const CHECKOUT = resolve(__dirname, '../..');
export const CACHE = process.env.TSVISOR_CACHE ?? join(CHECKOUT, '.cache');

export type Version = 'system' | '1.7' | '2';
export const OTHER_VERSIONS: readonly Version[] = ['1.7', '2'];

/** Where its programs are; null: on the PATH. */
export function programs(version: Version): string | null {
  return version === 'system' ? null : join(CACHE, 'containerd', version, 'usr/bin');
}

export function isInstalled(version: Version): boolean {
  const folder = programs(version);
  return folder === null || existsSync(join(folder, 'containerd'));
}

/** PATH with the shim under test and this containerd's programs first. */
export function pathFor(version: Version): string {
  return [join(CHECKOUT, 'bin'), programs(version), process.env.PATH, '/usr/sbin'].filter((p) => p !== null).join(':');
}

export function majorOf(version: Version): number {
  if (version !== 'system') return Number(version.split('.')[0]);
  const text = spawnSync('containerd', ['--version'], { encoding: 'utf8' }).stdout ?? '';
  return Number(/ v?(\d+)\.\d+/.exec(text)?.[1] ?? 1);
}

export interface CriSettings {
  /** Text of runsc.toml, or null: none is named. */
  readonly runsc?: string | null;
  /** 2.x: who makes pods. */
  readonly sandboxer?: 'podsandbox' | 'shim';
  readonly pauseImage: string;
}

interface ConfigOptions {
  readonly folder: string;
  readonly address: string;
  /** Null: CRI is switched off. */
  readonly cri: CriSettings | null;
}

/** config.toml: version 2's tables before containerd 2, version 3's from then on. */
export function configText(version: Version, { folder, address, cri }: ConfigOptions): string {
  const modern = majorOf(version) >= 2;
  const off = modern
    ? ['io.containerd.cri.v1.runtime', 'io.containerd.cri.v1.images', 'io.containerd.grpc.v1.cri']
    : ['io.containerd.grpc.v1.cri'];
  return [
    `version = ${modern ? 3 : 2}`,
    `root = "${folder}/root"`,
    `state = "${folder}/state"`,
    `disabled_plugins = [${(cri === null ? off : []).map((p) => `"${p}"`).join(', ')}]`,
    '[grpc]',
    `  address = "${address}"`,
    '[debug]',
    '  level = "debug"',
    ...(cri === null ? [] : modern ? criVersion3(folder, cri) : criVersion2(folder, cri)),
  ].join('\n');
}

function runtimeTables(table: string, folder: string, cri: CriSettings): string[] {
  return [
    `[${table}.containerd]`,
    '  default_runtime_name = "runsc"',
    `[${table}.containerd.runtimes.runsc]`,
    '  runtime_type = "io.containerd.runsc.v1"',
    '  pod_annotations = ["dev.tsvisor.*"]',
    ...(cri.sandboxer === undefined ? [] : [`  sandboxer = "${cri.sandboxer}"`]),
    ...((cri.runsc ?? null) === null
      ? []
      : [
          `[${table}.containerd.runtimes.runsc.options]`,
          '  TypeUrl = "io.containerd.runsc.v1.options"',
          `  ConfigPath = "${folder}/runsc.toml"`,
        ]),
  ];
}

function criVersion2(folder: string, cri: CriSettings): string[] {
  const table = 'plugins."io.containerd.grpc.v1.cri"';
  return [
    `[${table}]`,
    `  sandbox_image = "${cri.pauseImage}"`,
    '  stream_server_address = "127.0.0.1"',
    '  stream_server_port = "0"',
    '  disable_apparmor = true',
    `[${table}.cni]`,
    '  bin_dir = "/usr/lib/cni"',
    `  conf_dir = "${folder}/cni"`,
    ...runtimeTables(table, folder, cri),
  ];
}

function criVersion3(folder: string, cri: CriSettings): string[] {
  const table = 'plugins."io.containerd.cri.v1.runtime"';
  return [
    '[plugins."io.containerd.grpc.v1.cri"]',
    '  stream_server_address = "127.0.0.1"',
    '  stream_server_port = "0"',
    '[plugins."io.containerd.cri.v1.images"]',
    '  use_local_image_pull = true',
    '[plugins."io.containerd.cri.v1.images".pinned_images]',
    `  sandbox = "${cri.pauseImage}"`,
    `[${table}]`,
    '  disable_apparmor = true',
    `[${table}.cni]`,
    '  bin_dirs = ["/usr/lib/cni"]',
    `  conf_dir = "${folder}/cni"`,
    ...runtimeTables(table, folder, cri),
  ];
}
