/** Much output through every kind of stream: not a byte is lost. */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, createReadStream, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { BUSYBOX, Containerd, eventually, missing, RUNSC } from '../containerd/containerd.ts';
import { patience, size } from './size.ts';

const suite = missing().length === 0 ? describe : describe.skip;
const BYTES = size(64 << 20, 1 << 30);
const LINE = '0123456789abcdef0123456789abcd\n';
const SCRIPT = `yes ${LINE.trim()} | head -c ${BYTES}`;

suite(`${BYTES >> 20} MiB of output`, () => {
  let containerd: Containerd;
  let expected: string;
  beforeAll(async () => {
    containerd = await Containerd.start(['busybox.tar']);
    const hash = createHash('sha256');
    const block = LINE.repeat(32_768);
    for (let left = BYTES; left > 0; left -= block.length) hash.update(block.slice(0, Math.min(left, block.length)));
    expected = hash.digest('hex');
  }, 120_000);
  afterAll(async () => {
    await containerd?.stop();
  }, 60_000);

  async function digest(stream: NodeJS.ReadableStream): Promise<string> {
    const hash = createHash('sha256');
    for await (const chunk of stream) hash.update(chunk as Buffer);
    return hash.digest('hex');
  }
  const ended = (id: string): Promise<boolean> =>
    eventually(() => containerd.ctr(['tasks', 'ls']).stdout.includes(`${id} `) && / STOPPED/.test(lineOf(id)), 600_000);
  const lineOf = (id: string): string =>
    containerd
      .ctr(['tasks', 'ls'])
      .stdout.split('\n')
      .find((l) => l.startsWith(`${id} `)) ?? '';

  test(
    'through a fifo',
    async () => {
      const id = containerd.newId();
      const { child, result } = containerd.ctrAsync(['run', '--rm', '--runtime', RUNSC, BUSYBOX, id, 'sh', '-c', SCRIPT], {
        timeoutMs: 900_000,
        quiet: true,
      });
      expect(await digest(child.stdout as NodeJS.ReadableStream)).toBe(expected);
      expect((await result).status).toBe(0);
    },
    patience(BYTES >> 20, 1000),
  );

  test(
    'through a file',
    async () => {
      const id = containerd.newId();
      const path = join(containerd.folder, 'output');
      containerd.ctr(['run', '-d', '--runtime', RUNSC, '--log-uri', `file://${path}`, BUSYBOX, id, 'sh', '-c', SCRIPT]);
      expect(await ended(id)).toBe(true);
      expect(statSync(path).size).toBe(BYTES);
      expect(await digest(createReadStream(path))).toBe(expected);
      containerd.remove(id);
    },
    patience(BYTES >> 20, 1000),
  );

  test(
    'through a program',
    async () => {
      const id = containerd.newId();
      const path = join(containerd.folder, 'logged');
      const logger = join(containerd.folder, 'logger');
      writeFileSync(logger, `#!/bin/sh\nexec 5>&-\ncat <&3 >"$2.new"\nmv "$2.new" "$2"\n`);
      chmodSync(logger, 0o755);
      containerd.ctr(['run', '-d', '--runtime', RUNSC, '--log-uri', `binary://${logger}?to=${path}`, BUSYBOX, id, 'sh', '-c', SCRIPT]);
      expect(await ended(id)).toBe(true);
      expect(await eventually(() => statSync(path, { throwIfNoEntry: false })?.size === BYTES, 60_000)).toBe(true);
      expect(await digest(createReadStream(path))).toBe(expected);
      containerd.remove(id);
    },
    patience(BYTES >> 20, 1000),
  );

  test(
    'through a terminal',
    async () => {
      const count = size(50_000, 1_000_000);
      const id = containerd.newId();
      const command = ['ctr', '-a', containerd.address, 'run', '--rm', '-t', '--runtime', RUNSC, BUSYBOX, id, 'seq', String(count)];
      // ctr wants a terminal of its own: script(1) gives it one, which ctr makes raw.
      const client = spawn('script', ['-qefc', command.join(' '), '/dev/null'], {
        env: containerd.env,
        stdio: ['pipe', 'pipe', 'inherit'],
      });
      // Two terminals add a carriage return each: what is between them counts.
      const own = createHash('sha256');
      for await (const chunk of client.stdout) own.update((chunk as Buffer).toString('latin1').replaceAll(/[\r\0]/g, ''));
      const hash = createHash('sha256');
      for (let i = 1; i <= count; i++) hash.update(`${i}\n`);
      expect(own.digest('hex')).toBe(hash.digest('hex'));
    },
    patience(size(50_000, 1_000_000), 1),
  );
});
