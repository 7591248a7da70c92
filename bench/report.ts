/** Results: medians, the table, a bar chart as SVG. */

/** Samples by row and target, in the row's unit. */
export type Samples = Map<string, Map<string, number[]>>;

export function addSample(samples: Samples, row: string, target: string, value: number): void {
  const byTarget = samples.get(row) ?? new Map<string, number[]>();
  samples.set(row, byTarget);
  byTarget.set(target, [...(byTarget.get(target) ?? []), value]);
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? (sorted[middle] as number) : ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2;
}

export interface Row {
  readonly row: string;
  /** Median by target; absent where it failed or took no part. */
  readonly medians: Readonly<Record<string, number>>;
}

export function summarize(samples: Samples): Row[] {
  return [...samples].map(([row, byTarget]) => ({ row, medians: Object.fromEntries([...byTarget].map(([t, v]) => [t, median(v)])) }));
}

function figure(value: number | undefined): string {
  if (value === undefined) return '–';
  return value >= 1000 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

/** Markdown. Ratios are the target's time over `base`'s. */
export function table(rows: readonly Row[], targets: readonly string[], base: string, unit: string): string {
  const ratios = targets.filter((t) => t !== base);
  const lines = [
    `| row (${unit}) | ${targets.join(' | ')} | ${ratios.map((t) => `${t} / ${base}`).join(' | ')} |`,
    `|---|${targets.map(() => '--:|').join('')}${ratios.map(() => '--:|').join('')}`,
  ];
  for (const { row, medians } of rows) {
    const values = targets.map((t) => figure(medians[t]));
    const quotients = ratios.map((t) => {
      const [a, b] = [medians[t], medians[base]];
      return a === undefined || b === undefined || b === 0 ? '–' : (a / b).toFixed(2);
    });
    lines.push(`| ${row} | ${values.join(' | ')} | ${quotients.join(' | ')} |`);
  }
  return `${lines.join('\n')}\n`;
}

const COLOURS = ['#888888', '#4c78a8', '#e45756', '#54a24b', '#b279a2', '#f58518'];

/** Horizontal bars on a logarithmic scale, one group a row. */
export function chart(rows: readonly Row[], targets: readonly string[], title: string): string {
  const bar = 9;
  const group = targets.length * bar + 8;
  const left = 150;
  const width = 900;
  const values = rows.flatMap((r) => Object.values(r.medians)).filter((v) => v > 0);
  const low = Math.floor(Math.log10(Math.min(...values)));
  const high = Math.ceil(Math.log10(Math.max(...values)));
  const x = (value: number) => left + ((Math.log10(value) - low) / Math.max(1, high - low)) * (width - left - 70);
  const height = 60 + rows.length * group;
  const parts = [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" font-family="sans-serif" font-size="10">`,
    `<rect width="100%" height="100%" fill="white"/>`,
  ];
  parts.push(`<text x="10" y="16" font-size="13">${title}</text>`);
  for (const [i, t] of targets.entries()) {
    parts.push(
      `<rect x="${left + i * 130}" y="24" width="9" height="9" fill="${COLOURS[i % COLOURS.length]}"/><text x="${left + 13 + i * 130}" y="32">${t}</text>`,
    );
  }
  for (let e = low; e <= high; e++) {
    parts.push(
      `<line x1="${x(10 ** e)}" x2="${x(10 ** e)}" y1="42" y2="${height - 12}" stroke="#ddd"/><text x="${x(10 ** e)}" y="${height - 2}" text-anchor="middle">${10 ** e}</text>`,
    );
  }
  for (const [r, { row, medians }] of rows.entries()) {
    const top = 46 + r * group;
    parts.push(`<text x="${left - 6}" y="${top + group / 2}" text-anchor="end">${row}</text>`);
    for (const [i, t] of targets.entries()) {
      const value = medians[t];
      if (value === undefined || value <= 0) continue;
      const y = top + i * bar;
      parts.push(
        `<rect x="${left}" y="${y}" width="${Math.max(1, x(value) - left)}" height="${bar - 1}" fill="${COLOURS[i % COLOURS.length]}"/><text x="${x(value) + 3}" y="${y + bar - 1}" font-size="8">${figure(value)}</text>`,
      );
    }
  }
  parts.push('</svg>');
  return `${parts.join('\n')}\n`;
}
