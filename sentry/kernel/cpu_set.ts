/** Sets of processors: bit n is CPU n; and their texts, as the kernel prints them. */

export function cpuSetOf(numbers: Iterable<number>): bigint {
  let set = 0n;
  for (const number of numbers) set |= 1n << BigInt(number);
  return set;
}
export function cpuNumbersOf(set: bigint): number[] {
  const numbers: number[] = [];
  for (let i = 0, rest = set; rest !== 0n; i++, rest >>= 1n) if ((rest & 1n) !== 0n) numbers.push(i);
  return numbers;
}

/** Hexadecimal, in groups of 32 bits, at least so wide that `count` processors have room. */
export function cpuMaskText(set: bigint, count = 1): string {
  const digits = Math.max(set.toString(16).length, Math.ceil(count / 4));
  const hex = set.toString(16).padStart(digits, '0');
  if (hex.length <= 8) return hex;
  return (hex.padStart(Math.ceil(hex.length / 8) * 8, '0').match(/.{8}/g) as string[]).join(',');
}

/** "0-2,5". */
export function cpuListText(set: bigint): string {
  const runs: string[] = [];
  const numbers = cpuNumbersOf(set);
  for (let i = 0; i < numbers.length; i++) {
    const first = numbers[i] as number;
    while (numbers[i + 1] === (numbers[i] as number) + 1) i++;
    runs.push(first === numbers[i] ? String(first) : `${first}-${numbers[i]}`);
  }
  return runs.join(',');
}
