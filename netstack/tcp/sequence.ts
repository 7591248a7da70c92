/** Sequence numbers (RFC 9293 §3.4): 32 bits, compared around the circle. */
export function less(a: number, b: number): boolean {
  return ((a - b) | 0) < 0;
}
export function lessEqual(a: number, b: number): boolean {
  return ((a - b) | 0) <= 0;
}
export function add(a: number, n: number): number {
  return (a + n) >>> 0;
}
/** a - b, signed. */
export function distance(a: number, b: number): number {
  return (a - b) | 0;
}
export function later(a: number, b: number): number {
  return less(a, b) ? b : a;
}
