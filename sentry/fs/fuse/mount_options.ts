/** Options of a FUSE mount (mount.fuse(8), as the kernel takes them). */
import { EINVAL, type Errno } from '../../../abi/errno.ts';
import { S_IFDIR, S_IFMT, S_IFREG } from '../../../abi/stat.ts';
import { NO_ID, type UserNamespace } from '../../kernel/user_namespace.ts';

export interface FuseMountOptions {
  readonly fd: number;
  /** Type of the root; its other bits are the server's. */
  readonly rootMode: number;
  /** Whose mount it is: kernel numbers. */
  readonly userId: number;
  readonly groupId: number;
  readonly allowOther: boolean;
  readonly defaultPermissions: boolean;
  /** Bytes of one READ; infinite: no limit. */
  readonly maxRead: number;
  readonly subtype: string;
}

/** EINVAL for what is unknown, or missing: fd, rootmode, user_id and group_id must be there. */
export function parseFuseOptions(data: string, namespace: UserNamespace): FuseMountOptions | Errno {
  const values = new Map<string, string>();
  for (const part of data.split(',')) {
    if (part === '') continue;
    const [key, value = ''] = part.split('=', 2) as [string, string?];
    if (!KNOWN.test(key)) return EINVAL;
    values.set(key, value);
  }
  const number = (key: string, radix: number, digits: RegExp): number => {
    const text = values.get(key) ?? '';
    return digits.test(text) ? Number.parseInt(text, radix) : -1;
  };
  const decimal = /^\d{1,10}$/;
  const fd = number('fd', 10, decimal);
  const rootMode = number('rootmode', 8, /^[0-7]{1,7}$/);
  const user = number('user_id', 10, decimal);
  const group = number('group_id', 10, decimal);
  const type = rootMode & S_IFMT;
  if (fd < 0 || user < 0 || group < 0 || (type !== S_IFDIR && type !== S_IFREG)) return EINVAL;
  const userId = namespace.uids.toKernel(user);
  const groupId = namespace.gids.toKernel(group);
  if (userId === NO_ID || groupId === NO_ID) return EINVAL;
  const maxRead = values.has('max_read') ? number('max_read', 10, decimal) : Number.POSITIVE_INFINITY;
  if (maxRead < 0) return EINVAL;
  const allowOther = values.has('allow_other');
  const defaultPermissions = values.has('default_permissions');
  return { fd, rootMode, userId, groupId, allowOther, defaultPermissions, maxRead, subtype: values.get('subtype') ?? '' };
}

const KNOWN = /^(fd|rootmode|user_id|group_id|allow_other|default_permissions|max_read|subtype|source|rw|ro)$/;
