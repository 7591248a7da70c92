/**
 * CPython's own regression tests: every test that passes under runc passes in the sandbox, and what is skipped there is skipped here.
 * CI takes the modules below ALWAYS; TSVISOR_PROGRAMS=all takes the long ones as well.
 */
import { ALL, lacking, PLATFORMS, runScript } from './programs_image.ts';

const ALWAYS = (
  'test_os test_posix test_mmap test_select test_epoll test_poll test_fcntl test_pty test_openpty test_tempfile test_time ' +
  'test_resource test_subprocess test_threading test_thread test_fileio test_file test_shutil test_glob test_pathlib test_stat ' +
  'test_popen test_pipes test_wait3 test_wait4 test_fork1 test_pwd test_grp test_mailbox test_zipfile test_tarfile test_sched'
).split(' ');
const LONG =
  'test_signal test_io test_asyncio test_selectors test_socket test_largefile test_concurrent_futures test_multiprocessing_fork test_multiprocessing_spawn test_multiprocessing_forkserver'.split(
    ' ',
  );

const PLATFORM = PLATFORMS[0] as string;

/** Tests that end otherwise than under runc, and why that is meant. */
const EXCEPTIONS: readonly (readonly [test: RegExp, reason: string])[] = [
  [/test_disk_usage/, 'a writable layer in which nothing was written takes no space'],
  [/UDPLITE/, 'UDP-Lite is not offered; Linux can be built without it as well'],
];

/** Runs a module and prints one line a test: name, a tab, ok | skipped | failure | error. The log comes first. */
const script = (module: string): string => `
cd /tmp; python3 -m test --junit-xml /tmp/results.xml ${module} 2>&1 | tail -n 60
echo '== results'
python3 - <<'END'
import xml.etree.ElementTree as tree
for case in tree.parse('/tmp/results.xml').iter('testcase'):
    ends = [child.tag for child in case if child.tag in ('skipped', 'failure', 'error')]
    print(case.get('name') + '\\t' + (ends[0] if ends else 'ok'))
END`;

/** Name of a test → how it ended. */
function results(output: string): Map<string, string> {
  const lines = output.slice(output.indexOf('== results')).split('\n');
  return new Map(lines.filter((line) => line.includes('\t')).map((line) => line.split('\t') as [string, string]));
}

/** The differences that nobody has explained. */
function differences(native: string, sandboxed: string): string[] {
  const inSandbox = results(sandboxed);
  const found: string[] = [];
  for (const [name, result] of results(native)) {
    const ours = inSandbox.get(name) ?? 'absent';
    if (result === ours || result === 'failure' || result === 'error' || EXCEPTIONS.some(([test]) => test.test(name))) continue;
    found.push(`${name}: ${result} under runc, ${ours} here`);
  }
  return found;
}

(lacking() === null ? describe : describe.skip)("CPython's regression tests", () => {
  test.each(ALL ? [...ALWAYS, ...LONG] : ALWAYS)(
    '%s',
    async (module) => {
      // Side by side they take each other's time, and some of these tests are about time: then one after the other.
      const run = async (runtime: string): Promise<string> => (await runScript(runtime, script(module), 400)).output;
      const [native, first] = await Promise.all([run('runc'), run(PLATFORM)]);
      expect(results(native).size).toBeGreaterThan(0);
      let unexplained = differences(native, first);
      if (unexplained.length > 0) unexplained = differences(await run('runc'), await run(PLATFORM));
      expect(unexplained).toEqual([]);
    },
    1_300_000,
  );
});
