/** tmpfs (and ramfs, which is one without limits) for mount(2). */
import { EINVAL, type Errno } from '../../../abi/errno.ts';
import type { Credentials } from '../../kernel/credentials.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import { NO_ID } from '../../kernel/user_namespace.ts';
import { parseTmpFsOptions, TmpFs, type TmpFsOptions } from './tmpfs.ts';

export function registerTmpFs(kernel: Kernel): void {
  for (const name of ['tmpfs', 'ramfs']) {
    kernel.filesystems.register(name, (_kernel, { data, task, creds }) => {
      const options = parseTmpFsOptions(data);
      if (typeof options === 'number') return options;
      const owner = ownerOf(creds, options, data);
      if (typeof owner === 'number') return owner;
      const fs = new TmpFs(kernel, kernel.uniqueId(), { ...options, ...owner });
      if (task !== null) fs.countFor(task.group.container.memory);
      return fs;
    });
  }
}

/** The root directory is the mounter's own unless options name others, as its user namespace numbers them. */
function ownerOf({ namespace, fsuid, fsgid }: Credentials, options: TmpFsOptions, data: string): { uid: number; gid: number } | Errno {
  const uid = /(^|,)uid=/.test(data) ? namespace.uids.toKernel(options.uid) : fsuid;
  const gid = /(^|,)gid=/.test(data) ? namespace.gids.toKernel(options.gid) : fsgid;
  return uid === NO_ID || gid === NO_ID ? EINVAL : { uid, gid };
}
