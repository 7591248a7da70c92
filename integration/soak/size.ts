/** How much the soaks do: little in CI, much by `npm run soak`. The seed is printed; TSVISOR_SEED repeats a run. */
const LONG = process.env.TSVISOR_SOAK === 'long';

export function size(short: number, long: number): number {
  return LONG ? long : short;
}

/** ms for a test that takes `perUnit` ms for each of `units`. */
export function patience(units: number, perUnit: number): number {
  return 60_000 + units * perUnit;
}

export interface Random {
  /** 0 … limit - 1. */
  below(limit: number): number;
  pick<T>(list: readonly T[]): T;
}

/** xorshift32: the same numbers for the same seed. */
export function random(name: string): Random {
  const seed = Number(process.env.TSVISOR_SEED ?? (LONG ? Date.now() % 1_000_000 : 1));
  process.stderr.write(`${name}: TSVISOR_SEED=${seed}\n`);
  let state = (seed * 2654435761 + 1) >>> 0 || 1;
  const below = (limit: number): number => {
    state ^= state << 13;
    state >>>= 0;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state % limit;
  };
  return { below, pick: (list) => list[below(list.length)] as (typeof list)[number] };
}
