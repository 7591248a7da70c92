/** memfd_create(2). */
import { EFAULT, EINVAL, ENAMETOOLONG, ENOMEM, isErrno } from '../../abi/errno.ts';
import { MFD_ALLOW_SEALING, MFD_CLOEXEC, MFD_EXEC, MFD_HUGETLB, MFD_NOEXEC_SEAL } from '../../abi/mman.ts';
import { makeMemfd } from '../fs/memfd.ts';
import type { Task } from '../kernel/task.ts';
import { addr, flags, syscall } from './definition.ts';
import { installFile } from './install_file.ts';

/** NAME_MAX less the "memfd:" that proc shows before it. */
const NAME_LIMIT = 249;
/** Bits 26 and up: log2 of the huge page size. */
const SIZE_BITS = 0x3f << 26;

function memfd_create(task: Task, address: number, flagBits: number): number {
  const known = MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL | MFD_EXEC;
  if ((flagBits & ~(known | MFD_HUGETLB | SIZE_BITS)) !== 0) return EINVAL;
  if ((flagBits & MFD_HUGETLB) === 0 && (flagBits & SIZE_BITS) !== 0) return EINVAL;
  const noexec = (flagBits & MFD_NOEXEC_SEAL) !== 0;
  if (noexec && (flagBits & MFD_EXEC) !== 0) return EINVAL;
  const name = task.readString(address, NAME_LIMIT);
  if (isErrno(name)) return name === ENAMETOOLONG ? EINVAL : EFAULT;
  if ((flagBits & MFD_HUGETLB) !== 0) return ENOMEM; // no huge pages are reserved here
  const sealing = noexec || (flagBits & MFD_ALLOW_SEALING) !== 0;
  const file = makeMemfd(task, `/memfd:${name} (deleted)`, { mode: noexec ? 0o666 : 0o777, sealing, execSealed: noexec });
  return isErrno(file) ? file : installFile(task, file, (flagBits & MFD_CLOEXEC) !== 0);
}

export const MEMFD_CALLS = {
  memfd_create: syscall({ x64: 319, man: 'memfd_create(2)', args: [addr, flags], run: memfd_create, partial: 'no huge pages' }),
};
