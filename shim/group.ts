/** Which containers share one shim: those of one pod, which CRI implementations name in annotations. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Grouping } from './options.ts';

const SANDBOX_ID = ['io.kubernetes.cri.sandbox-id', 'io.kubernetes.cri-o.SandboxID'] as const;

/** No container's id has a slash. */
const NODE = 'node/';

/** The pod's id; the container's own where it belongs to none, where its config is unreadable, or without grouping. */
export function groupOf(bundle: string, id: string, grouping: Grouping): string {
  if (grouping === 'none') return id;
  if (grouping === 'node') return NODE;
  let annotations: Record<string, unknown>;
  try {
    const config = JSON.parse(readFileSync(join(bundle, 'config.json'), 'utf8')) as { annotations?: Record<string, unknown> };
    annotations = config.annotations ?? {};
  } catch {
    return id; // Create says what is wrong with it
  }
  for (const key of SANDBOX_ID) {
    const value = annotations[key];
    if (typeof value === 'string' && value !== '') return value;
  }
  return id;
}
