/**
 * Databases on a volume, and SIGKILL at random moments for the database, the Sentry or the gofer: what was committed is there afterwards. Three rounds each
 * here; `npm run test:durability` makes twenty. The seed is printed; TSVISOR_SEED repeats a run.
 */
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { lacking, PLATFORMS, ProgramBundle } from '../programs/programs_image.ts';
import { eventually } from '../runsc_bundle.ts';

const VICTIMS = ['database', 'sentry', 'gofer'] as const;
const ROUNDS = Number(process.env.TSVISOR_DURABILITY ?? VICTIMS.length);
const SEED = Number(process.env.TSVISOR_SEED ?? Math.floor(Math.random() * 1e9));
const PATIENCE = 120_000;

/** Each prints "state WORD LAST COUNT" of what it finds, and then every number once it is committed. */
const DATABASES = {
  sqlite: `
    cd /data
    [ -e db ] || sqlite3 db 'CREATE TABLE t(n INTEGER PRIMARY KEY, pad TEXT)'
    sqlite3 -separator ' ' db 'PRAGMA integrity_check; SELECT coalesce(max(n), 0), count(*) FROM t' | tr '\\n' ' ' | sed 's/^/state /'; echo
    (echo 'PRAGMA synchronous=FULL;'; while echo 'INSERT INTO t(pad) VALUES (hex(randomblob(700))); SELECT max(n) FROM t;'; do :; done) | sqlite3 db`,
  postgres: `
    export PATH=$PATH:/usr/lib/postgresql/15/bin LC_ALL=C.UTF-8
    as() { su postgres -c "$1"; }
    mkdir -p /var/run/postgresql && chown postgres /data /var/run/postgresql
    [ -e /data/pg/ready ] || { rm -rf /data/pg; as 'initdb -D /data/pg -A trust >/data/init.log 2>&1'; }
    rm -f /data/pg/postmaster.pid # its number may be somebody else's in this container
    as "pg_ctl -D /data/pg -o '-c listen_addresses=' -l /data/log -w start >/dev/null"
    [ -e /data/pg/ready ] || { as "psql -qc 'CREATE TABLE t(n INTEGER PRIMARY KEY, pad TEXT)'" && touch /data/pg/ready && sync; }
    as "psql -At -F ' ' -c \\"SELECT 'state ok', coalesce(max(n), 0), count(*) FROM t\\""
    while echo "INSERT INTO t SELECT coalesce(max(n), 0) + 1, repeat(md5(random()::text), 20) FROM t RETURNING n;"; do :; done | as 'psql -qAt'`,
} as const;

/** mulberry32 */
function random(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

const cases = (['sqlite', 'postgres'] as const).flatMap((name) => (['', '--directfs'] as const).map((flag) => [name, flag] as const));
(lacking() === null ? describe : describe.skip)('durability', () => {
  test.each(ROUNDS > VICTIMS.length ? cases : cases.filter(([name, flag]) => (name === 'sqlite') === (flag !== '')))(
    '%s %s',
    async (name, flag) => {
      process.stderr.write(`durability: seed ${SEED}\n`);
      const below = random(SEED);
      const volume = mkdtempSync(join(tmpdir(), 'durability-'));
      let committed = 0;
      for (let round = 0; round <= ROUNDS; round++) {
        const victim = ROUNDS === VICTIMS.length ? VICTIMS[round % VICTIMS.length] : VICTIMS[below(VICTIMS.length)];
        const flags = flag === '' ? [] : [flag];
        const bundle = new ProgramBundle(PLATFORMS[0] as string, DATABASES[name], flags, [{ source: volume, destination: '/data' }]);
        const [command, ...args] = bundle.run;
        const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
        let out = '';
        let closed = false;
        for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (out += data));
        const ended = new Promise<void>((done) => child.on('close', () => done(void (closed = true))));
        const lines = (): string[] => out.split('\n').slice(0, -1);
        const numbers = (): number[] =>
          lines()
            .filter((line) => /^\d+$/.test(line))
            .map(Number);
        await eventually(() => closed || /^state .*\n/m.test(out), PATIENCE);
        const [, word, last, count] = /^state (\w+) (\d+) (\d+) *$/m.exec(out) ?? [out];
        expect({ word, complete: last === count, kept: Number(last) >= committed }).toEqual({ word: 'ok', complete: true, kept: true });
        if (round < ROUNDS) {
          const wanted = 1 + below(150);
          await eventually(() => closed || numbers().length >= wanted, PATIENCE);
          expect({ closed, out: closed ? out : '' }).toEqual({ closed: false, out: '' });
          const state = JSON.parse(readFileSync(join(bundle.folder, 'state', bundle.id, 'state.json'), 'utf8')) as {
            sandbox: { pid: number };
            gofer: { pid: number };
          };
          await new Promise((r) => setTimeout(r, below(20)));
          const [runsc, ...global] = bundle.command;
          if (victim === 'database') spawnSync(runsc, [...global, 'exec', bundle.id, 'pkill', '-9', 'postgres|sqlite3']);
          else process.kill(victim === 'sentry' ? state.sandbox.pid : state.gofer.pid, 'SIGKILL');
          // Whoever lost the gofer may go on with the files that it has open, for ever.
          if (victim === 'gofer') await eventually(() => closed, 1000);
        }
        bundle.remove();
        await ended;
        committed = Math.max(committed, ...numbers());
      }
      expect(committed).toBeGreaterThan(ROUNDS);
      rmSync(volume, { recursive: true, force: true });
    },
    (ROUNDS + 1) * 2 * PATIENCE,
  );
});
