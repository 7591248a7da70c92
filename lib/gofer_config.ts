/**
 * How a gofer is started: `node --jitless gofer.cjs --config-fd N`. The descriptor N gives one JSON text, GoferConfig, and is read to its
 * end. All descriptors that it names are inherited.
 *
 * One gofer serves a pod. Each container has one connection, which is one socket and the mounts that may be attached through it, by
 * name. When the Sentry closes the socket, the mounts' descriptors are closed with it. The gofer ends when no connection
 * is left and its control socket, if it has one, is closed.
 */

export interface GoferMount {
  /** What Tattach calls it (aname): unique within the connection. */
  readonly name: string;
  /** O_PATH descriptor of its root: a directory, or a single file. */
  readonly rootFd: number;
  readonly readonly: boolean;
  /** Nobody else changes it while the container lives: the Sentry may cache without asking. The gofer itself does not care. */
  readonly exclusive: boolean;
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
  /**
   * 'pivot': the process is alone in its mount namespace and has CAP_SYS_ADMIN there: its root becomes an empty folder and its capabilities those
   * that file access needs. 'none': it stays as it was started (rootless, tests).
   */
  readonly confine: 'pivot' | 'none';
}
