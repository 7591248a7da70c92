/** Tables and colours. Colours only where a person looks: a terminal that has not been told otherwise (NO_COLOR). */

const CODES = { green: 32, yellow: 33, red: 31, bold: 1 } as const;
export type Colour = keyof typeof CODES;

export interface Output {
  readonly isTTY?: boolean;
}

export function paint(text: string, colour: Colour, out: Output = process.stdout): string {
  const wanted = out.isTTY === true && (process.env.NO_COLOR ?? '') === '' && process.env.TERM !== 'dumb';
  return wanted ? `\u001b[${CODES[colour]}m${text}\u001b[0m` : text;
}

/** Columns as wide as their widest cell. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, i) => Math.max(...rows.map((row) => (row[i] as string).length)));
  return rows.map((row) => row.map((cell, i) => (i === row.length - 1 ? cell : cell.padEnd(widths[i] as number))).join('   ')).join('\n');
}
