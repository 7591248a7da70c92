/** mem(4), null(4), full(4), random(4): the devices of major 1. */
import { EINVAL, ENOSPC, ENXIO, type Errno, isErrno } from '../../../abi/errno.ts';
import type { Host } from '../../../lib/host.ts';
import type { Task } from '../../kernel/task.ts';
import { type FileDescription, FileImpl, type HostMapping } from '../../vfs/file.ts';
import { type Sink, type Source, UserBuffer } from '../../vfs/io.ts';

export const MEM_MAJOR = 1;
export const NULL_MINOR = 3;
export const ZERO_MINOR = 5;
export const FULL_MINOR = 7;
export const RANDOM_MINOR = 8;
export const URANDOM_MINOR = 9;

/** Never written to. */
const ZEROS = new Uint8Array(65536);
/** Bytes of randomness fetched at a time. */
const RANDOM_CHUNK = 65536;
// random(4)
const RNDGETENTCNT = 0x80045200;
const POOL_BITS = 256;

/** Moves a source on as if its bytes had been used; memory is not looked at. */
function discard(src: Source): number {
  const n = src.remaining;
  if (src instanceof UserBuffer) {
    src.skip(n);
    return n;
  }
  const scratch = new Uint8Array(Math.min(n, 65536));
  while (src.remaining > 0) if (src.take(scratch) <= 0) break;
  return n;
}

function putZeros(dst: Sink): number {
  let total = 0;
  while (dst.remaining > 0) {
    const n = dst.put(ZEROS, 0, Math.min(ZEROS.length, dst.remaining));
    if (n <= 0) return total > 0 ? total : n;
    total += n;
  }
  return total;
}

/** Positions mean nothing: a seek succeeds and stays at 0. */
abstract class MemoryDevice extends FileImpl {
  override pread(dst: Sink, _offset: number, file: FileDescription, task: Task) {
    return this.read(dst, file, task);
  }
  override pwrite(src: Source, _offset: number, file: FileDescription, task: Task) {
    return this.write(src, file, task);
  }
  override seek(): number {
    return 0;
  }
}

export class NullFile extends MemoryDevice {
  override read(_dst: Sink, _file: FileDescription, _task: Task): number {
    return 0;
  }
  override write(src: Source, _file: FileDescription, _task: Task): number {
    return discard(src);
  }
}

class ZeroFile extends MemoryDevice {
  override get inPieces(): boolean {
    return true;
  }
  override read(dst: Sink, _file: FileDescription, _task: Task): number {
    return putZeros(dst);
  }
  override write(src: Source, _file: FileDescription, _task: Task): number {
    return discard(src);
  }
  /** No host file: mm maps anonymous memory. */
  override mapping(): HostMapping | Errno {
    return { hostFd: -1, offset: 0 };
  }
}

class FullFile extends MemoryDevice {
  override get inPieces(): boolean {
    return true;
  }
  override read(dst: Sink, _file: FileDescription, _task: Task): number {
    return putZeros(dst);
  }
  override write(src: Source, _file: FileDescription, _task: Task): number {
    return src.remaining === 0 ? 0 : ENOSPC;
  }
}

class RandomFile extends MemoryDevice {
  override get inPieces(): boolean {
    return true;
  }
  private readonly host: Host;

  constructor(host: Host) {
    super();
    this.host = host;
  }
  override read(dst: Sink, _file: FileDescription, task: Task): number {
    let total = 0;
    while (dst.remaining > 0) {
      const chunk = task.kernel.ioScratch.subarray(0, Math.min(RANDOM_CHUNK, dst.remaining));
      const got = this.host.getrandom(chunk);
      if (isErrno(got)) return total > 0 ? total : got;
      const n = dst.put(chunk, 0, got);
      chunk.fill(0, 0, got);
      if (n <= 0) return total > 0 ? total : n;
      total += n;
    }
    return total;
  }
  /** Seeds are taken and not used: the host's generator has enough. */
  override write(src: Source, _file: FileDescription, _task: Task): number {
    return discard(src);
  }
  override ioctl(_file: FileDescription, task: Task, command: number, argument: number): number {
    return command === RNDGETENTCNT ? task.writeU32(argument, POOL_BITS) : EINVAL;
  }
}

/** Opens minor `minor` of major 1. */
export function openMemoryDevice(host: Host, minor: number): FileImpl | Errno {
  switch (minor) {
    case NULL_MINOR:
      return new NullFile();
    case ZERO_MINOR:
      return new ZeroFile();
    case FULL_MINOR:
      return new FullFile();
    case RANDOM_MINOR:
    case URANDOM_MINOR:
      return new RandomFile(host);
    default:
      return ENXIO;
  }
}
