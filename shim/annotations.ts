/** Settings that a pod brings itself: annotations "dev.tsvisor.NAME", for the names that the options allow. */
import type { RuntimeSettings } from '../runsc/container/types.ts';
import { OptionsError, runscSetting } from './options.ts';

export const PREFIX = 'dev.tsvisor.';

/** @throws OptionsError for a name that is not allowed, or a wrong value: a pod that asks for a setting must not run without it. */
export function annotationSettings(annotations: Readonly<Record<string, string>>, allowed: readonly string[]): Partial<RuntimeSettings> {
  const out: Partial<Record<keyof RuntimeSettings, unknown>> = {};
  for (const [key, value] of Object.entries(annotations)) {
    if (!key.startsWith(PREFIX)) continue;
    const name = key.slice(PREFIX.length);
    if (!allowed.includes(name))
      throw new OptionsError(`annotation ${key} is not allowed: the shim's options do not list ${name} in allowed_annotations`);
    const [setting, plain] = runscSetting(name, value, `annotation ${key}`);
    out[setting] = plain;
  }
  return out as Partial<RuntimeSettings>;
}
