/** A FakeMachine whose root is a tmpfs, and the file calls by name with paths and bytes instead of addresses. */

import { AT_FDCWD } from '../../abi/fcntl.ts';
import { Stat } from '../../abi/stat.ts';
import { bytesOf } from '../../lib/byte_string.ts';
import { TmpFs } from '../fs/tmpfs/tmpfs.ts';
import type { Credentials } from '../kernel/credentials.ts';
import { rootCredentials } from '../kernel/credentials.ts';
import { SYSCALLS } from '../syscalls/table.ts';
import type { Filesystem } from '../vfs/inode.ts';
import { type MountNamespace, newNamespace } from '../vfs/mount.ts';
import type { FakeMemory } from './fake_memory.ts';
import { FakeMachine, type FakeTask } from './fake_task.ts';

type Argument = number | string | Uint8Array;

export class FileMachine extends FakeMachine {
  readonly ns: MountNamespace;

  constructor(fs?: (machine: FakeMachine) => Filesystem) {
    super();
    const root = fs?.(this) ?? new TmpFs(this.kernel, this.kernel.uniqueId());
    this.ns = newNamespace(this.kernel, root, 0, 'root');
  }

  /** A process that stands in the root directory. */
  user(creds: Credentials = rootCredentials()): FileUser {
    const task = this.process(creds);
    task.fs.root = this.ns.rootPath;
    task.fs.cwd = this.ns.rootPath;
    task.namespaces = { ...task.namespaces, mount: this.ns };
    return new FileUser(this, task);
  }
}

/** Calls made by one task. Strings become NUL-terminated arguments in its memory, byte arrays plain ones. */
export class FileUser {
  readonly machine: FileMachine;
  readonly task: FakeTask;
  constructor(machine: FileMachine, task: FakeTask) {
    this.machine = machine;
    this.task = task;
  }
  get memory(): FakeMemory {
    return this.task.memory;
  }

  /** The result, or null if the call blocks. */
  try(name: keyof typeof SYSCALLS & string, ...args: Argument[]): number | null {
    const row = SYSCALLS[name];
    if (row === undefined) throw new Error(`no system call ${name}`);
    const start = this.memory.mark();
    const numbers = args.map((a) => (typeof a === 'number' ? a : this.memory.place(typeof a === 'string' ? bytesOf(`${a}\0`) : a)));
    const result = this.machine.call(this.task, row, ...numbers);
    if (result !== null) this.memory.reset(start);
    return result;
  }
  /** As `try`, for calls that do not block. */
  call(name: keyof typeof SYSCALLS & string, ...args: Argument[]): number {
    const result = this.try(name, ...args);
    if (result === null) throw new Error(`${name} blocks`);
    return result;
  }
  open(path: string, flags: number, mode = 0o644): number {
    return this.call('openat', AT_FDCWD, path, flags, mode);
  }
  /** Makes a file with this content. */
  file(path: string, content: string, mode = 0o644): void {
    const fd = this.open(path, 0o1101 /* O_WRONLY | O_CREAT | O_TRUNC */, mode);
    if (fd < 0) throw new Error(`${path}: errno ${-fd}`);
    this.write(fd, content);
    this.call('close', fd);
  }
  write(fd: number, content: string): number {
    return this.call('write', fd, bytesOf(content), content.length);
  }
  /** Up to `count` bytes, or the errno. */
  read(fd: number, count = 4096): string | number {
    return this.fetch(count, (address) => this.call('read', fd, address, count));
  }
  /** The whole of a file, or the errno of open. */
  content(path: string): string | number {
    const fd = this.open(path, 0);
    if (fd < 0) return fd;
    let text = '';
    for (let part = this.read(fd); part !== ''; part = this.read(fd)) text += part;
    this.call('close', fd);
    return text;
  }
  stat(path: string): ReturnType<typeof Stat.read> | number {
    return this.fetchStat((address) => this.call('stat', path, address));
  }
  lstat(path: string): ReturnType<typeof Stat.read> | number {
    return this.fetchStat((address) => this.call('lstat', path, address));
  }
  fstat(fd: number): ReturnType<typeof Stat.read> | number {
    return this.fetchStat((address) => this.call('fstat', fd, address));
  }
  readlink(path: string): string | number {
    return this.fetch(4096, (address) => this.call('readlink', path, address, 4096));
  }
  cwd(): string | number {
    const text = this.fetch(4096, (address) => this.call('getcwd', address, 4096));
    return typeof text === 'number' ? text : text.slice(0, -1);
  }
  /** Names in a directory without "." and "..", in the order they come. */
  list(path: string): string[] {
    const fd = this.open(path, 0o200000);
    if (fd < 0) throw new Error(`${path}: errno ${-fd}`);
    const names: string[] = [];
    for (let some = this.entries(fd); some.length > 0; some = this.entries(fd)) names.push(...some);
    this.call('close', fd);
    return names.filter((name) => name !== '.' && name !== '..');
  }
  /** One getdents64 of `room` bytes. */
  entries(fd: number, room = 1024): string[] {
    const raw = this.fetch(room, (address) => this.call('getdents64', fd, address, room));
    if (typeof raw === 'number') throw new Error(`getdents64: errno ${-raw}`);
    const bytes = bytesOf(raw);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const names: string[] = [];
    for (let at = 0; at < bytes.length; at += view.getUint16(at + 16, true)) {
      names.push(raw.slice(at + 19, raw.indexOf('\0', at + 19)));
    }
    return names;
  }

  /** What `call` wrote to a buffer of `room` bytes, as long as its result says. */
  fetch(room: number, call: (address: number) => number): string | number {
    const start = this.memory.mark();
    const address = this.memory.place(room);
    const n = call(address);
    const text = n < 0 ? n : Buffer.from(this.memory.slice(address, n)).toString('latin1');
    this.memory.reset(start);
    return text;
  }
  private fetchStat(call: (address: number) => number): ReturnType<typeof Stat.read> | number {
    const start = this.memory.mark();
    const address = this.memory.place(Stat.size);
    const r = call(address);
    const stat = r < 0 ? r : Stat.decode(this.memory.slice(address, Stat.size));
    this.memory.reset(start);
    return stat;
  }
}
