/** MAP_SHARED | MAP_ANONYMOUS: memory that survives fork as one object. Backed by a host memfd, shown as "/dev/zero (deleted)". */
import { type Errno, isErrno } from '../../abi/errno.ts';
import { MFD_CLOEXEC } from '../../abi/mman.ts';
import type { Host } from '../../lib/host.ts';
import { type FileDescription, FileImpl, type HostMapping } from '../vfs/file.ts';

export class SharedAnonymous extends FileImpl {
  private readonly host: Host;
  private readonly hostFd: number;

  private constructor(host: Host, hostFd: number) {
    super();
    this.host = host;
    this.hostFd = hostFd;
  }

  /** ENOMEM, EMFILE as the host says. */
  static create(host: Host, length: number): SharedAnonymous | Errno {
    const fd = host.memfdCreate('shared', MFD_CLOEXEC);
    if (isErrno(fd)) return fd;
    const r = host.ftruncate(fd, length);
    if (isErrno(r)) {
      host.close(fd);
      return r;
    }
    return new SharedAnonymous(host, fd);
  }

  override mapping(_file: FileDescription, _shared: boolean, _prot: number): HostMapping {
    return { hostFd: this.hostFd, offset: 0 };
  }
  override release(): void {
    this.host.close(this.hostFd);
  }
}
