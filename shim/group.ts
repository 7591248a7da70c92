/** Which containers share one shim: those of one pod, which CRI implementations name in annotations. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const SANDBOX_ID = ['io.kubernetes.cri.sandbox-id', 'io.kubernetes.cri-o.SandboxID'] as const;

/** The pod's id; the container's own where it belongs to none, where its config is unreadable, or without grouping. */
export function groupOf(bundle: string, id: string, grouping: boolean): string {
  if (!grouping) return id;
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
