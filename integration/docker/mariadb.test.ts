/** MariaDB as people run it first: an image of one's own, a volume, a published port, asked from outside. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { IMAGES } from '../containerd/containerd.ts';
import { Docker, missing } from './docker.ts';

const PROGRAMS = join(IMAGES, 'programs-rootfs');
const PACKAGES = ['mariadb-server-core', 'mariadb-server', 'mariadb-client-core', 'mariadb-client', 'mariadb-common', 'mysql-common'];
const GATEWAY = '10.218.0.1';
/** ms */
const PATIENCE = 60_000;

const DOCKERFILE = `FROM debian:test
ADD mariadb.tar /
RUN useradd --system --no-create-home mysql && install -d -o mysql /run/mysqld /var/lib/mysql
EXPOSE 3306
VOLUME /var/lib/mysql
COPY start /start
CMD ["/start"]
`;
/** Makes the data at the first start, then becomes the server. */
const START = `#!/bin/bash
set -e
if [ ! -d /var/lib/mysql/mysql ]; then
  mariadb-install-db --user=mysql --datadir=/var/lib/mysql --auth-root-authentication-method=normal --skip-test-db >/dev/null
  printf "CREATE USER 'me'@'%%' IDENTIFIED BY 'secret';\\nGRANT ALL ON *.* TO 'me'@'%%';\\n" >/tmp/init
  exec mariadbd --user=mysql --datadir=/var/lib/mysql --bind-address=0.0.0.0 --skip-name-resolve --init-file=/tmp/init
fi
exec mariadbd --user=mysql --datadir=/var/lib/mysql --bind-address=0.0.0.0 --skip-name-resolve
`;

const suite = missing().length === 0 && existsSync(PROGRAMS) ? describe : describe.skip;
suite('MariaDB under Docker', () => {
  let docker: Docker;
  beforeAll(async () => {
    docker = await Docker.start(['debian.tar']);
  }, 120_000);
  afterAll(async () => {
    await docker?.stop();
  }, 120_000);

  /** A client of this machine: what comes through the published port. Null while nobody answers. */
  let refusal = '';
  function query(sql: string): string | null {
    const client = ['chroot', PROGRAMS, 'mariadb', '-h', GATEWAY, '-P', '3306', '-u', 'me', '-psecret', '-N', '-B', '-e', sql];
    const r = docker.outside(client);
    refusal = r.stderr;
    return r.status === 0 ? r.stdout.trim() : null;
  }
  async function answer(sql: string): Promise<string> {
    for (const end = Date.now() + PATIENCE; ; await new Promise((r) => setTimeout(r, 200))) {
      const said = query(sql);
      if (said !== null) return said;
      if (Date.now() > end) throw new Error(`no answer: ${refusal}; its log:\n${docker.run(['logs', 'db']).stderr.slice(-3000)}`);
    }
  }

  test('built, run with -p and a volume, asked, stopped, and run again with its data', async () => {
    const folder = join(docker.folder, 'mariadb');
    mkdirSync(folder);
    packMariadb(join(folder, 'mariadb.tar'));
    writeFileSync(join(folder, 'Dockerfile'), DOCKERFILE);
    writeFileSync(join(folder, 'start'), START, { mode: 0o755 });
    docker.must(['build', '--network', 'none', '-t', 'mariadb:test', folder], { timeoutMs: 120_000 });
    const run = ['run', '-d', '--name', 'db', '-p', '3306:3306', '-v', 'data:/var/lib/mysql', '--memory', '1g', 'mariadb:test'];
    docker.must(run);
    expect(await answer('SELECT 6*7')).toBe('42');
    query('CREATE DATABASE t; CREATE TABLE t.a (id INT PRIMARY KEY AUTO_INCREMENT, v VARCHAR(40)) ENGINE=InnoDB');
    query('USE t; INSERT INTO a (v) SELECT seq FROM seq_1_to_5000');
    expect(query('SELECT COUNT(*), SUM(id) FROM t.a')).toBe('5000\t12502500');
    docker.must(['stop', '-t', '30', 'db']);
    expect(docker.inspect('db', '{{.State.ExitCode}}')).toBe('0');
    docker.must(['rm', 'db']);
    docker.must(run);
    expect(await answer('SELECT COUNT(*), SUM(id) FROM t.a')).toBe('5000\t12502500');
    expect(docker.must(['exec', 'db', 'mariadb', '-u', 'root', '-N', '-B', '-e', 'SELECT VERSION()'])).toContain('MariaDB');
    docker.must(['rm', '-f', '-v', 'db']);
  }, 240_000);
});

/** The packages' files and the libraries that their programs load, out of the programs image. */
function packMariadb(target: string): void {
  const info = join(PROGRAMS, 'var/lib/dpkg/info');
  const listed = PACKAGES.flatMap((name) => readFileSync(join(info, `${name}.list`), 'utf8').split('\n')).filter(
    (path) => path.length > 2 && !/^\/usr\/share\/(doc|man|bug|lintian)/.test(path),
  );
  const programs = ['mariadbd', 'mariadb', 'my_print_defaults', 'mariadb-admin'].map((name) =>
    ['/usr/sbin', '/usr/bin'].map((f) => `${f}/${name}`),
  );
  const found = programs.flat().filter((path) => existsSync(join(PROGRAMS, path)));
  const loaded = spawnSync('chroot', [PROGRAMS, 'ldd', ...found], { encoding: 'utf8' }).stdout;
  const libraries = [...new Set([...loaded.matchAll(/=> (\/\S+)/g)].map((m) => m[1] as string))];
  // Not the folders: /lib and others are links in the image that gets the files.
  const isFile = (path: string): boolean => statSync(join(PROGRAMS, path), { throwIfNoEntry: false })?.isDirectory() === false;
  const merged = [...listed, ...libraries].map((path) => path.replace(/^\/(lib|lib64|bin|sbin)\//, '/usr/$1/'));
  const names = [...new Set(merged)].filter(isFile).map((path) => path.slice(1));
  const tar = ['-C', PROGRAMS, '--no-recursion', '--dereference', '--hard-dereference', '-cf', target, '-T', '-'];
  const r = spawnSync('tar', tar, { input: names.join('\n'), encoding: 'utf8' });
  if (r.status !== 0) throw new Error(`tar: ${r.stderr}`);
}
