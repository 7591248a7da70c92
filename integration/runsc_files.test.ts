/** Where a container's changes go (--overlay2) and who opens its files (--directfs). */
import { chmodSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { missing, RunscWorld } from './runsc_bundle.ts';

const suite = missing().length === 0 ? describe : describe.skip;

suite('writable layers and direct access', () => {
  let world: RunscWorld;
  beforeAll(() => {
    world = new RunscWorld();
  });
  afterEach(() => expect(world.leftovers()).toEqual([]));
  afterAll(() => world.close());

  function run(script: string, flags: readonly string[], volume?: string) {
    const mounts = volume === undefined ? [] : [{ destination: '/data', type: 'bind', source: volume, options: ['rbind', 'rw'] }];
    const bundle = world.bundle({ args: ['sh', '-c', script], spec: { mounts } });
    return { bundle, ...world.runsc(['run', '--bundle', bundle, world.newId()], { global: flags }) };
  }
  const fill = 'busybox dd if=/dev/zero of=/big bs=65536 count=40; wc -c < /big';

  test.each(['root:memory', 'root:self', 'all:self'])('%s: the host sees nothing of it', (overlay2) => {
    const volume = join(world.folder, `volume-${overlay2.replace(':', '-')}`);
    mkdirSync(volume);
    const script = `${fill}; echo changed > /etc/new; cat /etc/new; busybox cp /big /data/big; wc -c < /data/big`;
    const { bundle, stdout } = run(script, [`--overlay2=${overlay2}`], volume);
    expect(stdout.replaceAll(' ', '')).toBe('2621440\nchanged\n2621440\n');
    expect(readdirSync(join(bundle, 'rootfs')).filter((name) => name === 'big' || name.startsWith('.'))).toEqual([]);
    expect(readdirSync(volume)).toEqual(overlay2.startsWith('all') ? [] : ['big']);
  });

  test('none: the host sees all of it', () => {
    const { bundle } = run('echo changed > /etc/new', ['--overlay2=none']);
    expect(readFileSync(join(bundle, 'rootfs/etc/new'), 'utf8')).toBe('changed\n');
  });

  test.each(['memory', 'self', `dir=/var/tmp`])('a size limit is ENOSPC: %s', (medium) => {
    const script = `${fill}; busybox df -k / | busybox tail -n 1 | busybox awk '{ print $2, $4 }'; rm /big; echo again > /small; cat /small`;
    const { stdout, stderr } = run(script, [`--overlay2=root:${medium},size=1m`]);
    expect(stderr).toMatch(/No space left on device/);
    expect(stdout).toMatch(/1048576\n1024 0\nagain\n$/);
  });

  test('a setting that does not exist is refused', () => {
    expect(run('true', ['--overlay2=root:tape'])).toMatchObject({ stderr: expect.stringContaining('--overlay2: root:tape') });
  });

  test('directfs shows the same files, also those that only their owner may read', () => {
    const volume = join(world.folder, 'direct');
    mkdirSync(join(volume, 'open/deep'), { recursive: true });
    mkdirSync(join(volume, 'closed'), { mode: 0o700 });
    writeFileSync(join(volume, 'open/deep/file'), 'open\n');
    writeFileSync(join(volume, 'open/secret'), 'secret\n', { mode: 0o600 });
    writeFileSync(join(volume, 'closed/inside'), 'inside\n');
    chmodSync(join(volume, 'closed'), 0o700);
    const script = `cd /data; cat open/deep/file open/secret closed/inside; busybox find . | busybox sort; echo more >> open/secret; cat open/secret;
      mkdir open/made; echo x > open/made/y; busybox mv open/deep open/moved; cat open/moved/file; busybox stat -c '%u:%g %a' closed open/secret; ls /bin/busybox;
      rm -r open/moved; ls open; echo z > /bin/z; ls /bin/z`;
    const direct = run(script, ['--directfs'], volume);
    expect(direct).toMatchObject({ status: 0, stderr: '' });
    expect(direct.stdout).toBe(
      'open\nsecret\ninside\n.\n./closed\n./closed/inside\n./open\n./open/deep\n./open/deep/file\n./open/secret\nsecret\nmore\nopen\n' +
        '0:0 700\n0:0 600\n/bin/busybox\nmade\nsecret\n/bin/z\n',
    );
    expect(readFileSync(join(volume, 'open/made/y'), 'utf8')).toBe('x\n');
  });
});
