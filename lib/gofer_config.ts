/**
 * How a gofer is started: `node --jitless gofer.cjs --config-fd N`. The descriptor N gives one JSON text, GoferConfig, and is read to its
 * end. All descriptors that it names are inherited.
 *
 * One gofer serves a pod. Each container has one connection, which is one socket and the mounts that may be attached through it, by
 * name. When the Sentry closes the socket, the mounts' descriptors are closed with it. The gofer ends when no connection
 * is left and its control socket, if it has one, is closed.
 */

/** Sockets of volumes: nothing of the host; connect to those that are there; make some that the host can connect to; both. */
export const HOST_UDS_POLICIES = ['none', 'open', 'create', 'all'] as const;
export type HostUdsPolicy = (typeof HOST_UDS_POLICIES)[number];
/** Fifos of volumes: the sandbox's own beside the host's, or the host's. */
export const HOST_FIFO_POLICIES = ['none', 'open'] as const;
export type HostFifoPolicy = (typeof HOST_FIFO_POLICIES)[number];

/** `count` numbers from `first` on. */
export interface IdSpan {
  readonly first: number;
  readonly count: number;
}
export interface GoferOwners {
  readonly uids: readonly IdSpan[];
  readonly gids: readonly IdSpan[];
}

export interface GoferMount {
  /** What Tattach calls it (aname): unique within the connection. */
  readonly name: string;
  /** O_PATH descriptor of its root: a directory, or a single file. */
  readonly rootFd: number;
  readonly readonly: boolean;
  /** Nobody else changes it while the container lives: the Sentry may cache without asking. The gofer itself does not care. */
  readonly exclusive: boolean;
  /** The client may have the descriptor of the root (directfs). */
  readonly direct?: boolean;
  /** Nothing in it is shown: it only gives room for files without names. */
  readonly store?: boolean;
  /** Who may become owners of files, numbers of the host; null or absent: everybody. */
  readonly owners?: GoferOwners | null;
}

export interface GoferConnection {
  /** Connected SOCK_STREAM unix socket; its peer is the Sentry's. */
  readonly socketFd: number;
  readonly mounts: readonly GoferMount[];
}

export interface GoferConfig {
  readonly connections: readonly GoferConnection[];
  /**
   * Connected SOCK_SEQPACKET unix socket for more connections: each packet is one GoferConnection as JSON, in which descriptors are
   * indices into the packet's SCM_RIGHTS list. Answered by {} or {"error": "…"}.
   */
  readonly controlFd?: number;
  /** 'none' if absent. */
  readonly hostUds?: HostUdsPolicy;
  readonly hostFifo?: HostFifoPolicy;
  /**
   * 'pivot': the process is alone in its mount namespace and has CAP_SYS_ADMIN there: its root becomes an empty folder and its capabilities those
   * that file access needs. 'none': it stays as it was started (rootless, tests).
   */
  readonly confine: 'pivot' | 'none';
}
