/** The command line with which containerd calls a shim (Go's flag syntax: one dash or two, "-flag value" or "-flag=value"). */

export interface ShimArguments {
  readonly namespace: string;
  /** containerd's gRPC socket. */
  readonly address: string;
  /** The container, or the exec's container. */
  readonly id: string;
  /** Empty: the working directory. */
  readonly bundle: string;
  readonly publishBinary: string;
  readonly socket: string;
  readonly debug: boolean;
  /** This program's own: the daemon serves the whole node. */
  readonly node: boolean;
  readonly version: boolean;
  readonly info: boolean;
  /** start, delete, or this program's own "serve" and "keep". */
  readonly action: string;
}

const TEXT_FLAGS = { namespace: '', address: '', id: '', bundle: '', 'publish-binary': '', socket: '' };
const SWITCHES = { debug: false, node: false, v: false, info: false };

export class UsageError extends Error {}

export function parseArguments(argv: readonly string[]): ShimArguments {
  const text: Record<string, string> = { ...TEXT_FLAGS };
  const switches: Record<string, boolean> = { ...SWITCHES };
  const words: string[] = [];
  for (let i = 0; i < argv.length; i++) {
    const word = argv[i] as string;
    const flag = /^--?([^=-][^=]*)(?:=(.*))?$/s.exec(word);
    if (flag === null || words.length > 0) {
      words.push(word);
      continue;
    }
    const name = flag[1] as string;
    const value = flag[2];
    if (Object.hasOwn(switches, name)) {
      switches[name] = value === undefined || value === 'true' || value === '1';
    } else if (Object.hasOwn(text, name)) {
      const next = value ?? argv[++i];
      if (next === undefined) throw new UsageError(`flag needs an argument: -${name}`);
      text[name] = next;
    } else {
      throw new UsageError(`flag provided but not defined: -${name}`);
    }
  }
  if (words.length > 1) throw new UsageError(`unexpected argument ${JSON.stringify(words[1])}`);
  return {
    namespace: text.namespace as string,
    address: text.address as string,
    id: text.id as string,
    bundle: text.bundle as string,
    publishBinary: text['publish-binary'] as string,
    socket: text.socket as string,
    debug: switches.debug as boolean,
    node: switches.node as boolean,
    version: switches.v as boolean,
    info: switches.info as boolean,
    action: words[0] ?? '',
  };
}

/** An id names files and folders: the same rule as containerd's identifiers. */
export function checkId(id: string, what: string): void {
  if (id.length === 0) throw new UsageError(`${what} must not be empty`);
  if (id.length > 76 || !/^[A-Za-z0-9]+(?:[._-]+[A-Za-z0-9]+)*$/.test(id)) throw new UsageError(`${what} ${JSON.stringify(id)} is invalid`);
}
