/** What the program says of itself: -v for people, -info for containerd 2.x. */
import { readFileSync, writeSync } from 'node:fs';
import { WireWriter } from '../lib/ttrpc/wire.ts';
import { decodeOptionsAny, loadOptions } from './options.ts';

export const NAME = 'io.containerd.runsc.v1';

export function versionText(version: string): string {
  return `containerd-shim-runsc-v1:\n  Version:  ${version}\n  Node.js:  ${process.version}\n`;
}

/** containerd.types.RuntimeInfo. Options with an error in them are an error here: the earliest place to hear of it. */
export async function printInfo(version: string): Promise<void> {
  let any: Buffer;
  try {
    any = readFileSync(0);
  } catch {
    any = Buffer.alloc(0);
  }
  await loadOptions(decodeOptionsAny(any));
  const runtime = new WireWriter().string(1, version).finish();
  writeSync(1, new WireWriter().string(1, NAME).message(2, runtime).finish());
}
