/**
 * What goes wrong on the host's filesystem below a volume reaches the application as it is: quotas (a subvolume of btrfs with a limit), and
 * each operation of a filesystem that can be told to fail (a FUSE server).
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { missing, RunscWorld } from '../runsc_bundle.ts';

const OUT = resolve(__dirname, '../../.cache/filesystems');
const PLATFORM = (process.env.TSVISOR_TEST_PLATFORMS ?? 'systrap').split(',')[0] as string;
const MODES = [[[]], [['--directfs']]] as const;
const CAPABILITIES = Object.fromEntries(['bounding', 'effective', 'permitted'].map((set) => [set, ['CAP_CHOWN', 'CAP_DAC_OVERRIDE']]));
const hasBtrfs = spawnSync('sh', ['-c', 'PATH=$PATH:/usr/sbin command -v mkfs.btrfs']).status === 0;

(missing().length === 0 ? describe : describe.skip)('errors of the host’s filesystem', () => {
  const world = new RunscWorld();
  const scratch = mkdtempSync(join(tmpdir(), 'host-errors-'));
  const volume = join(scratch, 'volume');
  beforeAll(() => {
    mkdirSync(OUT, { recursive: true });
    mkdirSync(volume);
    for (const name of ['host_errors', 'quota']) {
      const args = ['-O1', '-Wall', '-Wno-unused-function', '-static', '-o', join(OUT, name), join(__dirname, `${name}.c`), '-lpthread'];
      execFileSync('gcc', args, { stdio: 'inherit' });
    }
  }, 60_000);
  afterAll(() => {
    world.close();
    rmSync(scratch, { recursive: true, force: true });
  });

  function run(command: string, args: readonly string[]) {
    const { stdout, stderr, status } = spawnSync(command, args, { encoding: 'latin1', timeout: 60_000 });
    return { stdout, stderr, status };
  }
  /** A command line that runs a program of ours on the volume. */
  function inSandbox(program: string, args: readonly string[], flags: readonly string[]): string[] {
    const mounts = [{ destination: '/volume', type: 'bind', source: volume, options: ['rbind', 'rw'] }];
    const bundle = world.bundle({ args: [`/${program}`, ...args], process: { capabilities: CAPABILITIES }, spec: { mounts } });
    copyFileSync(join(OUT, program), join(bundle, 'rootfs', program));
    return world.commandLine([`--platform=${PLATFORM}`, ...flags, 'run', '--bundle', bundle, world.newId()]);
  }

  test.each(MODES)('EDQUOT, ENOSPC, EIO, EROFS, ESTALE of every operation: %j', (flags) => {
    const program = join(OUT, 'host_errors');
    const onHost = run(program, ['serve', volume, program, 'try', volume]);
    expect(onHost).toMatchObject({ stderr: '', status: 0 });
    expect(run(program, ['serve', volume, ...inSandbox('host_errors', ['try', '/volume'], flags)])).toEqual(onHost);
  });

  (hasBtrfs ? test : test.skip)(
    'a quota that is used up',
    () => {
      let images = 0;
      const use = (args: readonly string[]): string => {
        const image = join(scratch, `image${images++}`);
        writeFileSync(image, '');
        truncateSync(image, 256 << 20);
        execFileSync('sh', ['-c', `PATH=$PATH:/usr/sbin; mkfs.btrfs -q ${image} && mount -o loop ${image} ${scratch}/volume`]);
        try {
          const quota = `cd ${volume} && btrfs -q subvolume create limited && btrfs quota enable . && btrfs qgroup limit 8M limited`;
          execFileSync('sh', ['-c', `PATH=$PATH:/usr/sbin; ${quota}`]);
          const outcome = run(args[0] as string, args.slice(1));
          expect(outcome).toMatchObject({ stderr: '', status: 0 });
          return outcome.stdout;
        } finally {
          execFileSync('umount', [volume]);
        }
      };
      const onHost = use([join(OUT, 'quota'), join(volume, 'limited')]);
      expect(onHost).toContain('SIGBUS 2\n');
      expect(onHost).toContain('names: EDQUOT\n');
      for (const [flags] of MODES) {
        expect(use(inSandbox('quota', ['/volume/limited'], flags))).toBe(onHost);
      }
    },
    120_000,
  );
});
