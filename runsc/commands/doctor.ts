/** doctor: whether this machine can run sandboxes, what is wrong if not, and how to mend it. */
import { reportKvm } from '../../lib/kvm_probe.ts';
import { command } from '../cli/command.ts';
import { UsageError } from '../cli/flags.ts';
import { type Colour, paint, table } from '../cli/screen.ts';
import {
  checkCgroups,
  checkContainerd,
  checkDocker,
  checkKernel,
  checkKvm,
  checkMemory,
  checkNamespaces,
  checkPlatform,
  checkPrivilege,
  checkPtrace,
  checkSeccomp,
  type Finding,
} from '../setup/checks.ts';
import { CONTAINERD_CONFIG, DOCKER_CONFIG } from '../setup/places.ts';

const COLOURS: Readonly<Record<Finding['status'], Colour>> = { ok: 'green', note: 'bold', warning: 'yellow', error: 'red' };

export const doctor = command('doctor', {
  usage: '',
  summary: 'check this machine: kernel, cgroups, platforms, containerd, Docker',
  flags: {
    format: { kind: 'string', alias: 'f', help: 'table (default) or json' },
    'docker-config': { kind: 'string', help: `default ${DOCKER_CONFIG}` },
    'containerd-config': { kind: 'string', help: `default ${CONTAINERD_CONFIG}` },
    runtime: { kind: 'string', help: "the runtime's name there (default runsc)" },
  },
  words: [0, 0],
  run: (_context, flags) => {
    const { format = 'table', runtime = 'runsc' } = flags;
    if (format !== 'table' && format !== 'json') throw new UsageError(`--format: ${format} is neither table nor json`);
    const checks: (() => Finding | Finding[])[] = [
      checkPrivilege,
      checkKernel,
      checkSeccomp,
      checkNamespaces,
      checkPtrace,
      checkKvm,
      checkCgroups,
      checkMemory,
      () => checkPlatform('systrap'),
      () => checkPlatform('ptrace'),
      () => (reportKvm().entry === 0 ? [] : checkPlatform('kvm')),
      () => checkContainerd(flags['containerd-config'], runtime),
      () => checkDocker(flags['docker-config'], runtime),
    ];
    const findings: Finding[] = [];
    for (const check of checks) {
      progress(`${findings.length} checks done`);
      findings.push(...[check()].flat());
    }
    progress('');
    process.stdout.write(format === 'json' ? `${JSON.stringify(findings, null, 2)}\n` : show(findings));
    return findings.some((f) => f.status === 'error') ? 1 : 0;
  },
});

/** One line that is written over; nothing where nobody watches. */
function progress(text: string): void {
  if (process.stderr.isTTY === true) process.stderr.write(`\r\u001b[K${text}`);
}

function show(findings: readonly Finding[]): string {
  const rows = table(findings.map((f) => [f.status, f.check, f.found])).split('\n');
  const lines = findings.flatMap((f, i) => {
    const row = rows[i] as string;
    const painted = paint(f.status, COLOURS[f.status]) + row.slice(f.status.length);
    return f.mend === '' ? [painted] : [painted, `${' '.repeat(10)}→ ${f.mend}`];
  });
  const wrong = findings.filter((f) => f.status === 'error').length;
  const end =
    wrong === 0
      ? paint('Sandboxes run on this machine.', 'green')
      : paint(`${wrong} ${wrong === 1 ? 'thing is' : 'things are'} to be mended.`, 'red');
  return `${lines.join('\n')}\n\n${end}\n`;
}
