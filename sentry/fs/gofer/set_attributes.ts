/** A change of metadata as a message. */
import {
  P9_SETATTR_ATIME,
  P9_SETATTR_ATIME_SET,
  P9_SETATTR_GID,
  P9_SETATTR_MODE,
  P9_SETATTR_MTIME,
  P9_SETATTR_MTIME_SET,
  P9_SETATTR_SIZE,
  P9_SETATTR_UID,
} from '../../../lib/p9/constants.ts';
import type { Body } from '../../../lib/p9/message.ts';
import type { Tsetattrx } from '../../../lib/p9/messages.ts';
import type { AttributeChange } from '../../vfs/inode.ts';
import type { Place } from './inode.ts';

export function attributeMessage(place: Place, change: AttributeChange): Body<typeof Tsetattrx> {
  const { mode, uid, gid, size, atime, mtime } = change;
  let valid = 0;
  if (mode !== undefined) valid |= P9_SETATTR_MODE;
  if (uid !== undefined) valid |= P9_SETATTR_UID;
  if (gid !== undefined) valid |= P9_SETATTR_GID;
  if (size !== undefined) valid |= P9_SETATTR_SIZE;
  if (atime !== undefined) valid |= P9_SETATTR_ATIME | P9_SETATTR_ATIME_SET;
  if (mtime !== undefined) valid |= P9_SETATTR_MTIME | P9_SETATTR_MTIME_SET;
  return {
    ...place,
    valid,
    mode: mode ?? 0,
    uid: uid ?? 0,
    gid: gid ?? 0,
    size: size ?? 0,
    atime_sec: atime?.sec ?? 0,
    atime_nsec: atime?.nsec ?? 0,
    mtime_sec: mtime?.sec ?? 0,
    mtime_nsec: mtime?.nsec ?? 0,
  };
}
