/** Interpreter scripts: "#!" lines (execve(2)). */
import { ENOEXEC, type Errno } from '../../abi/errno.ts';
import { type ByteString, byteString } from '../../lib/byte_string.ts';

/** Bytes of the line that count (BINPRM_BUF_SIZE). */
const LINE_MAX = 256;
/** How often an interpreter may be a script itself. */
export const MAX_SCRIPT_DEPTH = 4;

export interface ScriptLine {
  readonly interpreter: ByteString;
  /** The rest of the line as one argument, or null. */
  readonly argument: ByteString | null;
}

/** Null if the file is no script; ENOEXEC if its line names nothing or is cut inside the interpreter's name. */
export function parseScript(head: Uint8Array): ScriptLine | null | Errno {
  if (head[0] !== 0x23 || head[1] !== 0x21) return null;
  const text = byteString(head, 2, Math.min(head.length, LINE_MAX));
  const newline = text.indexOf('\n');
  const line = (newline < 0 ? text : text.slice(0, newline)).split('\0')[0] as string;
  const match = /^[ \t]*([^ \t]+)(?:[ \t]+(.*?))?[ \t]*$/.exec(line);
  if (match === null) return ENOEXEC;
  const cut = newline < 0 && head.length >= LINE_MAX && match[2] === undefined && !/[ \t]$/.test(line);
  if (cut) return ENOEXEC;
  return { interpreter: match[1] as string, argument: match[2] === undefined || match[2] === '' ? null : match[2] };
}
