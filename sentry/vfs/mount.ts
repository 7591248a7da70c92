/** mount_namespaces(7): a tree of mounts. */
import type { Mount } from './path.ts';

export class MountNamespace {
  readonly id: number;
  root: Mount;
  constructor(id: number, root: Mount) {
    this.id = id;
    this.root = root;
  }
}
