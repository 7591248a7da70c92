/**
 * stress-ng --verify: every stressor of the classes cpu, memory, pipe, scheduler, vm, interrupt and os that passes under runc passes in the
 * sandbox, each for a second or some operations.
 */
import { lacking, PLATFORMS, runScript } from './programs_image.ts';

const CLASSES = 'cpu memory pipe scheduler vm interrupt os';
const SECONDS = 900;
/** Stressors of what a sandbox does not have, as it is meant to be. */
const EXCEPTIONS: Readonly<Record<string, string>> = {
  key: 'keyrings are refused (EPERM), as by the default profile of Docker',
  'netlink-task': 'no task statistics over netlink: they would be of the host',
  pci: 'no PCI devices',
  handle: 'no file handles (EOPNOTSUPP), as on an overlay of Linux',
  'io-uring': 'answers ENOSYS',
  landlock: 'answers ENOSYS',
  memhotplug: "the memory of the machine is not the container's",
  secretmem: 'answers ENOSYS',
  userfaultfd: 'refused (EPERM), as by the default profile of Docker',
};

/** Prints "NAME STATUS REASON" a stressor. `names`: all of the classes if empty. */
const script = (names: readonly string[]): string => `
cd /tmp
names='${names.join(' ')}'
[ -n "$names" ] || names=$(for class in ${CLASSES}; do stress-ng --class "$class?" 2>&1 | sed 's/.*: //' | tr ' ' '\\n'; done | sort -u)
for name in $names; do
  timeout -k 2 30 stress-ng --verify --"$name" 1 --"$name"-ops 20 -t 1 >/tmp/log 2>&1
  echo "$name $? $(grep -E 'fail|error|skip' /tmp/log | head -n 1 | cut -c1-160)"
done`;

function outcomes(output: string): Map<string, string> {
  const rows = output.split('\n').map((line) => /^([\w-]+) (\d+) ?(.*)$/.exec(line));
  return new Map(rows.filter((row) => row !== null).map((row) => [row[1] as string, `${row[2]} ${row[3]}`.trim()]));
}
function passed(output: string): string[] {
  return [...outcomes(output)].filter(([, outcome]) => outcome === '0').map(([name]) => name);
}

(lacking() === null ? describe : describe.skip)('stress-ng', () => {
  test(
    'what passes under runc passes here',
    async () => {
      const platform = PLATFORMS[0] as string;
      const [native, sandboxed] = await Promise.all([runScript('runc', script([]), SECONDS), runScript(platform, script([]), SECONDS)]);
      const expected = passed(native.output).filter((name) => !(name in EXCEPTIONS));
      expect(expected.length).toBeGreaterThan(150);
      const ours = outcomes(sandboxed.output);
      let failed = expected.filter((name) => ours.get(name) !== '0');
      // Side by side they take each other's time, and limits are about time: those that failed once more, alone.
      if (failed.length > 0) {
        const again = outcomes((await runScript(platform, script(failed), SECONDS)).output);
        failed = failed.filter((name) => again.get(name) !== '0').map((name) => `${name}: ${again.get(name)}`);
      }
      expect(failed).toEqual([]);
    },
    3 * SECONDS * 1000,
  );
});
