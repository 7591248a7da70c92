/** cpu_set_t: a bit for each CPU, by number. sched_setaffinity(2). */
export const MASK_BYTES = 128;

export function isIn(mask: Uint8Array, cpu: number): boolean {
  return ((mask[cpu >> 3] ?? 0) & (1 << (cpu & 7))) !== 0;
}
export function setIn(mask: Uint8Array, cpu: number): void {
  const byte = (cpu >> 3) % MASK_BYTES;
  mask[byte] = (mask[byte] as number) | (1 << (cpu & 7));
}
export function cpusOf(mask: Uint8Array): number[] {
  const cpus: number[] = [];
  for (let cpu = 0; cpu < mask.length * 8; cpu++) if (isIn(mask, cpu)) cpus.push(cpu);
  return cpus;
}
