/** The addon's functions, as typed as the boundary allows. Only lib/host.ts and the platforms call them. */
import { createRequire } from 'node:module';
import { join } from 'node:path';

export type Bytes = ArrayBufferView | ArrayBuffer;

export interface Native {
  /** Raw system call: numbers by value, views by address, null as 0. Result, or a negative errno. */
  syscall(nr: number, ...args: (number | Bytes | null)[]): number;
  /** Address of a view's first byte, for structs that hold pointers. Valid while the view is referenced. */
  addressOf(view: Bytes): number;
  /** clock_gettime(2) in ns. */
  clockNow(clockId: number): number;
  /** process_vm_readv(2) of one range. Bytes, or a negative errno. */
  readProcess(pid: number, address: number, into: ArrayBufferView, offset: number, count: number): number;
  writeProcess(pid: number, address: number, from: ArrayBufferView, offset: number, count: number): number;
  /** MAP_SHARED view of a file, or a negative errno. */
  mapShared(fd: number, length: number, offset: number, prot: number): ArrayBuffer | number;
  /** See spawn.c; lib/spawn.ts packs the arguments. result: pid or -1, failed step, errno. */
  spawn(
    result: Int32Array,
    file: Bytes,
    argv: Bytes,
    envp: Bytes,
    fds: Int32Array,
    options: Int32Array,
    maps: Bytes | null,
    cgroupFds: Int32Array,
    cwd: Bytes | null,
  ): void;
  /** setgroups, setresgid, setresuid of every thread. 0 or a negative errno. */
  setIdentity(uid: number, gid: number): number;
}

/** Beside the bundle in an installation, in the build folder in a checkout. */
function load(): Native {
  const require = createRequire(`${__dirname}/`);
  try {
    return require(join(__dirname, 'tsvisor_native.node')) as Native;
  } catch (e) {
    if ((e as NodeJS.ErrnoException).code !== 'MODULE_NOT_FOUND') throw e;
  }
  return require(join(__dirname, 'build/Release/tsvisor_native.node')) as Native;
}

export const native: Native = load();
