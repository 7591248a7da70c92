/**
 * Who may use what of a FUSE mount. Without allow_other nobody but its owner, whatever their capabilities. With default_permissions the
 * modes decide as elsewhere; otherwise the server does, operation by operation.
 */
import type { Errno } from '../../../abi/errno.ts';
import { S_IFMT, S_IFREG } from '../../../abi/stat.ts';
import type { Credentials } from '../../kernel/credentials.ts';
import type { AccessRule, Inode } from '../../vfs/inode.ts';
import { checkModeBits, MAY_EXEC } from '../../vfs/permission.ts';
import type { FuseConnection } from './connection.ts';

export class FuseAccess implements AccessRule {
  readonly final = true;
  private readonly connection: FuseConnection;

  constructor(connection: FuseConnection) {
    this.connection = connection;
  }
  grants(inode: Inode, creds: Credentials, mask: number): boolean | Errno {
    const { connection } = this;
    if (!connection.allows(creds)) return false;
    const { calls } = connection.kernel;
    // The server has done what was asked: its checks, and ours before it, are behind us.
    if (calls.suspends && calls.log.changed) return true;
    const executes = (mask & MAY_EXEC) !== 0 && (inode.mode & S_IFMT) === S_IFREG;
    if (!connection.options.defaultPermissions && !executes) return true;
    const fresh = inode.refresh();
    if (fresh !== 0) return fresh;
    return connection.options.defaultPermissions ? checkModeBits(inode, creds, mask) === 0 : (inode.mode & 0o111) !== 0;
  }
  mayChange(_inode: Inode, creds: Credentials): boolean {
    return !this.connection.options.defaultPermissions && this.connection.allows(creds);
  }
}
