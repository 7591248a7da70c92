/** The parts of an OCI runtime spec (config.json, version 1.x) that this runtime reads. Unknown fields are ignored, as the standard asks. */

export interface SpecUser {
  readonly uid: number;
  readonly gid: number;
  readonly umask?: number;
  readonly additionalGids?: readonly number[];
}

/** Names as in capabilities(7): "CAP_CHOWN". */
export interface SpecCapabilities {
  readonly bounding?: readonly string[];
  readonly effective?: readonly string[];
  readonly inheritable?: readonly string[];
  readonly permitted?: readonly string[];
  readonly ambient?: readonly string[];
}

export interface SpecRlimit {
  /** "RLIMIT_NOFILE". */
  readonly type: string;
  readonly soft: number;
  readonly hard: number;
}

export interface SpecProcess {
  readonly terminal?: boolean;
  readonly consoleSize?: { readonly height: number; readonly width: number };
  readonly user: SpecUser;
  readonly args: readonly string[];
  readonly env?: readonly string[];
  readonly cwd: string;
  readonly capabilities?: SpecCapabilities;
  readonly rlimits?: readonly SpecRlimit[];
  readonly noNewPrivileges?: boolean;
  readonly oomScoreAdj?: number;
}

/** `size` numbers from containerID on are those from hostID on. */
export interface SpecIdMapping {
  readonly containerID: number;
  readonly hostID: number;
  readonly size: number;
}

export interface SpecMount {
  readonly destination: string;
  readonly type?: string;
  readonly source?: string;
  readonly options?: readonly string[];
  /** From numbers of the source (containerID) to those that are shown (hostID). */
  readonly uidMappings?: readonly SpecIdMapping[];
  readonly gidMappings?: readonly SpecIdMapping[];
}

export interface SpecHook {
  readonly path: string;
  readonly args?: readonly string[];
  readonly env?: readonly string[];
  /** Seconds. */
  readonly timeout?: number;
}

export interface SpecHooks {
  readonly prestart?: readonly SpecHook[];
  readonly createRuntime?: readonly SpecHook[];
  readonly createContainer?: readonly SpecHook[];
  readonly startContainer?: readonly SpecHook[];
  readonly poststart?: readonly SpecHook[];
  readonly poststop?: readonly SpecHook[];
}

export interface SpecNamespace {
  readonly type: string;
  readonly path?: string;
}

export interface SpecDevice {
  readonly path: string;
  readonly type: string;
  readonly major?: number;
  readonly minor?: number;
  readonly fileMode?: number;
  readonly uid?: number;
  readonly gid?: number;
}

/** linux.resources; bytes, microseconds. */
export interface SpecResources {
  readonly memory?: {
    readonly limit?: number;
    readonly reservation?: number;
    readonly swap?: number;
    readonly disableOOMKiller?: boolean;
  };
  readonly cpu?: {
    readonly shares?: number;
    readonly quota?: number;
    readonly period?: number;
    readonly cpus?: string;
    readonly mems?: string;
    readonly idle?: number;
  };
  readonly pids?: { readonly limit: number };
  readonly devices?: readonly {
    readonly allow: boolean;
    readonly type?: string;
    readonly major?: number;
    readonly minor?: number;
    readonly access?: string;
  }[];
  /** cgroup v2: file name → content. */
  readonly unified?: Readonly<Record<string, string>>;
}

export interface SpecLinux {
  readonly namespaces?: readonly SpecNamespace[];
  /** Of the container's user namespace. */
  readonly uidMappings?: readonly SpecIdMapping[];
  readonly gidMappings?: readonly SpecIdMapping[];
  readonly devices?: readonly SpecDevice[];
  readonly cgroupsPath?: string;
  readonly resources?: SpecResources;
  readonly sysctl?: Readonly<Record<string, string>>;
  readonly maskedPaths?: readonly string[];
  readonly readonlyPaths?: readonly string[];
  readonly rootfsPropagation?: string;
}

export interface Spec {
  readonly ociVersion: string;
  readonly root: { readonly path: string; readonly readonly?: boolean };
  readonly process?: SpecProcess;
  readonly hostname?: string;
  readonly domainname?: string;
  readonly mounts?: readonly SpecMount[];
  readonly hooks?: SpecHooks;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly linux?: SpecLinux;
}
