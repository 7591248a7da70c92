/** What CLONE_FS shares: root, working directory, umask. */
import type { VfsPath } from './path.ts';

export class FsContext {
  root: VfsPath;
  cwd: VfsPath;
  umask: number;
  private users = 1;

  constructor(root: VfsPath, cwd: VfsPath, umask: number) {
    this.root = root;
    this.cwd = cwd;
    this.umask = umask;
  }
  fork(): FsContext {
    return new FsContext(this.root, this.cwd, this.umask);
  }
  /** The task moves to another mount namespace. */
  relocate(where: (path: VfsPath) => VfsPath): void {
    this.root = where(this.root);
    this.cwd = where(this.cwd);
  }
  share(): this {
    this.users++;
    return this;
  }
  get shared(): boolean {
    return this.users > 1;
  }
  release(): void {
    this.users--;
  }
}
