/** `ctr run -t` and `ctr task exec -t`: script(1) is the terminal that ctr sits on. */
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { BUSYBOX, Containerd, DEBIAN, eventually, missing, RUNSC, sleep } from './containerd.ts';

const suite = missing().length === 0 ? describe : describe.skip;
const CTRL_C = '\x03';
const CTRL_D = '\x04';

/** A ctr on a terminal of its own. */
class Session {
  output = '';
  readonly child: ChildProcess;
  readonly status: Promise<number | null>;

  constructor(containerd: Containerd, args: readonly string[], size = '24 80') {
    const [rows, columns] = size.split(' ');
    const quoted = args.map((a) => `'${a.replaceAll("'", "'\\''")}'`).join(' ');
    const command = `stty rows ${rows} cols ${columns}; tty >&2; exec ctr -a ${containerd.address} ${quoted}`;
    this.child = spawn('script', ['-qec', command, '/dev/null'], { stdio: ['pipe', 'pipe', 'pipe'] });
    this.child.stdout?.on('data', (chunk) => (this.output += chunk));
    this.status = new Promise((resolve) => this.child.once('close', (code) => resolve(code)));
  }
  send(text: string): void {
    this.child.stdin?.write(text);
  }
  /** Waits for output; fails with what there is. */
  async expect(pattern: RegExp): Promise<void> {
    await eventually(() => pattern.test(this.output), 15_000);
    expect(this.output).toMatch(pattern);
  }
  /** The host terminal's device. */
  get device(): string {
    return /\/dev\/pts\/\d+/.exec(this.output)?.[0] as string;
  }
}

suite('terminals', () => {
  let containerd: Containerd;
  beforeAll(async () => {
    containerd = await Containerd.start();
  }, 300_000);
  afterAll(async () => {
    await containerd?.stop();
  }, 60_000);
  const run = (command: readonly string[], image = BUSYBOX, size = '24 80'): Session =>
    new Session(containerd, ['run', '-t', '--rm', '--runtime', RUNSC, image, containerd.newId('tty'), ...command], size);

  test('the program has a terminal of the right size', async () => {
    const session = run(['sh', '-c', 'sleep 1; stty size; tty; test -t 0 && test -t 1 && test -t 2 && echo all three'], BUSYBOX, '37 123');
    await session.expect(/37 123[\s\S]*\/dev\/[\s\S]*all three/);
    expect(await session.status).toBe(0);
  }, 30_000);

  test('Ctrl-C interrupts, Ctrl-D ends the input', async () => {
    const session = run(['sh']);
    await session.expect(/# /);
    session.send('sleep 1000\r');
    await sleep(500);
    session.send(CTRL_C);
    await sleep(200);
    session.send('echo after $?\r');
    await session.expect(/after 130/);
    session.send('cat\r');
    await sleep(300);
    session.send('typed\r');
    await session.expect(/typed\s+typed/);
    session.send(CTRL_D);
    session.send('exit 4\r');
    expect(await session.status).toBe(4);
  }, 30_000);

  test('a new size of the window arrives, with its signal', async () => {
    // Without a trap, a bash whose child has just ended by itself ignores the interrupt.
    const script = 'trap "stty size" WINCH; trap "exit 130" INT; echo ready; while :; do sleep 0.1; done';
    const session = run(['bash', '-c', script], DEBIAN);
    await session.expect(/ready/);
    await sleep(500);
    const stty = spawn('stty', ['-F', session.device, 'rows', '41', 'cols', '141']);
    await new Promise((resolve) => stty.once('exit', resolve));
    await session.expect(/41 141/);
    session.send(CTRL_C);
    expect(await session.status).toBe(130);
  }, 30_000);

  test('job control of an interactive shell', async () => {
    const session = run(['bash', '--norc'], DEBIAN);
    await session.expect(/[#$] /);
    session.send('sleep 1000\r');
    await sleep(500);
    session.send('\x1a');
    await session.expect(/Stopped/);
    session.send('bg; jobs; kill %1; wait; echo done $?\r');
    await session.expect(/Running[\s\S]*done/);
    session.send('exit\r');
    expect(await session.status).toBe(0);
  }, 30_000);

  test('exec with a terminal', async () => {
    const id = containerd.newId('tty');
    containerd.ctr(['run', '-d', '--null-io', '--runtime', RUNSC, BUSYBOX, id, 'sleep', '1000']);
    const session = new Session(containerd, ['tasks', 'exec', '-t', '--exec-id', 'shell', id, 'sh'], '30 90');
    await session.expect(/# /);
    await sleep(300);
    session.send('stty size; tty; exit 3\r');
    expect(await session.status).toBe(3);
    expect(session.output).toMatch(/30 90/);
    containerd.remove(id);
    expect(readFileSync('/proc/mounts', 'utf8')).not.toContain(id);
  }, 30_000);
});
