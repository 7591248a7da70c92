/** Signals by name, as kill(1) takes them. */
import { constants } from 'node:os';

const NSIG = 64;

/** "TERM", "SIGTERM", "15", "RTMIN+3"; null: none of these. */
export function signalNumber(text: string): number | null {
  if (/^\d+$/.test(text)) return Number(text) <= NSIG ? Number(text) : null;
  const name = text.toUpperCase().replace(/^SIG/, '');
  const realTime = /^RT(MIN|MAX)(?:([+-])(\d+))?$/.exec(name);
  if (realTime !== null) {
    const offset = Number(realTime[3] ?? 0) * (realTime[2] === '-' ? -1 : 1);
    const number = (realTime[1] === 'MIN' ? 34 : NSIG) + offset;
    return number >= 34 && number <= NSIG ? number : null;
  }
  return (constants.signals as Readonly<Record<string, number>>)[`SIG${name}`] ?? null;
}
