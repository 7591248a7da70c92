/** The C programs of the tests. */
import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';

/** Compiles `source`; flags: libraries, -static. The program's path, for convenience. */
export function compileGuest(source: string, program: string, flags: readonly string[] = []): string {
  mkdirSync(dirname(program), { recursive: true });
  execFileSync('gcc', ['-O1', '-Wall', '-o', program, source, ...flags], { stdio: 'inherit' });
  return program;
}
