/**
 * System calls that a container does not get, with the errno that Docker's default profile or a kernel without the feature gives. A
 * row here says that the call is known and refused on purpose; what is in no table answers ENOSYS and is logged.
 */
import { EINVAL, ENOSYS, EPERM, type Errno } from '../../abi/errno.ts';
import { type Syscall, syscall } from './definition.ts';

function refuse(x64: number, man: string, errno: Errno): Syscall {
  return syscall({ x64, man: `${man}(2)`, args: [], run: () => errno, refused: errno });
}

export const REFUSED_CALLS = {
  modify_ldt: refuse(154, 'modify_ldt', ENOSYS),
  _sysctl: refuse(156, '_sysctl', ENOSYS),
  acct: refuse(163, 'acct', EPERM),
  swapon: refuse(167, 'swapon', EPERM),
  swapoff: refuse(168, 'swapon', EPERM),
  reboot: refuse(169, 'reboot', EPERM),
  iopl: refuse(172, 'iopl', EPERM),
  ioperm: refuse(173, 'ioperm', EPERM),
  create_module: refuse(174, 'create_module', ENOSYS),
  init_module: refuse(175, 'init_module', EPERM),
  delete_module: refuse(176, 'delete_module', EPERM),
  get_kernel_syms: refuse(177, 'get_kernel_syms', ENOSYS),
  query_module: refuse(178, 'query_module', ENOSYS),
  quotactl: refuse(179, 'quotactl', EPERM),
  nfsservctl: refuse(180, 'nfsservctl', ENOSYS),
  getpmsg: refuse(181, 'unimplemented', ENOSYS),
  putpmsg: refuse(182, 'unimplemented', ENOSYS),
  afs_syscall: refuse(183, 'unimplemented', ENOSYS),
  tuxcall: refuse(184, 'unimplemented', ENOSYS),
  security: refuse(185, 'unimplemented', ENOSYS),
  lookup_dcookie: refuse(212, 'lookup_dcookie', EPERM),
  vserver: refuse(236, 'unimplemented', ENOSYS),
  kexec_load: refuse(246, 'kexec_load', EPERM),
  add_key: refuse(248, 'add_key', EPERM),
  request_key: refuse(249, 'request_key', EPERM),
  keyctl: refuse(250, 'keyctl', EPERM),
  // Every open of every file would have to be looked at for marks on mounts; inotify(7) is there, and libraries fall back to it.
  perf_event_open: refuse(298, 'perf_event_open', EPERM),
  finit_module: refuse(313, 'init_module', EPERM),
  kexec_file_load: refuse(320, 'kexec_load', EPERM),
  bpf: refuse(321, 'bpf', EPERM),
  userfaultfd: refuse(323, 'userfaultfd', EPERM),
  pkey_mprotect: refuse(329, 'pkey_alloc', ENOSYS),
  pkey_alloc: refuse(330, 'pkey_alloc', ENOSYS),
  pkey_free: refuse(331, 'pkey_alloc', EINVAL),
  io_uring_setup: refuse(425, 'io_uring_setup', ENOSYS),
  io_uring_enter: refuse(426, 'io_uring_enter', ENOSYS),
  io_uring_register: refuse(427, 'io_uring_register', ENOSYS),
  quotactl_fd: refuse(443, 'quotactl', EPERM),
  landlock_create_ruleset: refuse(444, 'landlock_create_ruleset', ENOSYS),
  landlock_add_rule: refuse(445, 'landlock_add_rule', ENOSYS),
  landlock_restrict_self: refuse(446, 'landlock_restrict_self', ENOSYS),
  memfd_secret: refuse(447, 'memfd_secret', ENOSYS),
};
