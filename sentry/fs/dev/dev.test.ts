import { EIO, ENOSPC, ENXIO, isErrno } from '../../../abi/errno.ts';
import { O_RDWR } from '../../../abi/fcntl.ts';
import { major, makedev, minor, S_IFBLK, S_IFCHR, S_IFMT } from '../../../abi/stat.ts';
import { byteString, bytesOf } from '../../../lib/byte_string.ts';
import { FakeMachine, type FakeTask } from '../../testing/fake_task.ts';
import { FileDescription } from '../../vfs/file.ts';
import { BufferIo } from '../../vfs/io.ts';
import type { VfsPath } from '../../vfs/path.ts';
import { TmpFs } from '../tmpfs/tmpfs.ts';
import { populateDev } from './populate.ts';
import { registerDevices } from './register.ts';

class World extends FakeMachine {
  readonly me: FakeTask;
  constructor() {
    super();
    registerDevices(this.kernel);
    this.me = this.process();
  }
  open(number: number, type = S_IFCHR): FileDescription | number {
    const path = this.kernel.anonymous.path('anon_inode:[node]', 0o600) as VfsPath;
    const impl = this.kernel.devices.open(type, number, O_RDWR, { path, creds: this.me.creds, task: this.me });
    return isErrno(impl) ? impl : new FileDescription(impl, O_RDWR, path);
  }
  read(file: FileDescription, count: number): string | number {
    const bytes = new Uint8Array(count).fill(7);
    const n = file.impl.read(new BufferIo(bytes), file, this.me) as number;
    return n < 0 ? n : byteString(bytes, 0, n);
  }
  write(file: FileDescription, text: string): number {
    return file.impl.write(new BufferIo(bytesOf(text)), file, this.me) as number;
  }
}

test.each<[string, number, string, number]>([
  ['null', 3, '', 5],
  ['zero', 5, '\0'.repeat(100_000), 5],
  ['full', 7, '\0'.repeat(100_000), ENOSPC],
])('/dev/%s', (_name, number, content, written) => {
  const w = new World();
  const file = w.open(makedev(1, number)) as FileDescription;
  expect(w.read(file, 100_000)).toBe(content);
  expect(w.write(file, 'hello')).toBe(written);
  expect(file.impl.seek(file, 10, 0)).toBe(0);
});

test('/dev/zero maps as anonymous memory', () => {
  const w = new World();
  const file = w.open(makedev(1, 5)) as FileDescription;
  expect(file.impl.mapping(file, false, 3)).toMatchObject({ hostFd: -1 });
});

test('/dev/urandom gives different bytes each time, beyond one host call', () => {
  const w = new World();
  const file = w.open(makedev(1, 9)) as FileDescription;
  const [a, b] = [w.read(file, 150_000), w.read(file, 150_000)];
  expect([(a as string).length, a === b]).toEqual([150_000, false]);
  expect((a as string).endsWith('\x07'.repeat(16))).toBe(false);
});

test('numbers that nobody answers for', () => {
  const w = new World();
  expect(w.open(makedev(1, 77))).toBe(ENXIO);
  expect(w.open(makedev(10, 201))).toBe(ENXIO);
  expect(w.open(makedev(8, 0), S_IFBLK)).toBe(ENXIO);
  expect(w.open(makedev(5, 0))).toBe(ENXIO); // no controlling terminal
  expect(w.open(makedev(5, 1))).toBe(EIO); // no console
  expect(w.open(makedev(136, 0))).toBe(EIO); // not through devpts
});

const OWNER = { uid: 0, gid: 0 };

test('what /dev holds, put there twice without harm', () => {
  const w = new World();
  const fs = new TmpFs(w.kernel, 1);
  expect([populateDev(fs.root, OWNER), populateDev(fs.root, OWNER)]).toEqual([0, 0]);
  const node = (name: string) => {
    const inode = fs.root.lookup(name, null);
    if (isErrno(inode)) throw new Error(name);
    const { mode, rdev } = inode.attributes();
    return [(mode & S_IFMT) === S_IFCHR, major(rdev), minor(rdev), mode & 0o777];
  };
  expect(node('null')).toEqual([true, 1, 3, 0o666]);
  expect(node('tty')).toEqual([true, 5, 0, 0o666]);
  const net = fs.root.lookup('net', null);
  const tun = isErrno(net) ? net : net.lookup('tun', null);
  expect(isErrno(tun) ? tun : tun.attributes().rdev).toBe(makedev(10, 200));
  const link = fs.root.lookup('fd', null);
  expect(isErrno(link) ? link : link.readlink(null)).toBe('/proc/self/fd');
  const shm = fs.root.lookup('shm', null);
  expect(isErrno(shm) ? shm : shm.mode & 0o7777).toBe(0o1777);
});
