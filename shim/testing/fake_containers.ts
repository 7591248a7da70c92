/** A container library without sandboxes: tests decide when processes end. */
import {
  type ContainerHandle,
  type ContainersApi,
  type CreateOptions,
  type ExecOptions,
  type ExitStatus,
  RuntimeError,
} from '../../runsc/container/types.ts';

interface FakeProcess {
  readonly exited: Promise<ExitStatus>;
  exit(code: number): void;
  done: boolean;
}

function fakeProcess(): FakeProcess {
  let resolve: (status: ExitStatus) => void = () => {};
  const process: FakeProcess = {
    exited: new Promise((r) => {
      resolve = r;
    }),
    exit: (exitCode) => {
      process.done = true;
      resolve({ exitCode, exitedAt: 1000 });
    },
    done: false,
  };
  return process;
}

export class FakeContainer implements ContainerHandle {
  readonly id: string;
  readonly sandboxId: string;
  readonly bundle: string;
  readonly pid: number;
  readonly options: CreateOptions;
  readonly init = fakeProcess();
  readonly execs = new Map<string, FakeProcess>();
  /** Every call, in order. */
  readonly calls: string[] = [];
  onOom: () => void = () => {};
  startError: Error | null = null;
  #nextPid = 2;

  constructor(options: CreateOptions, pid: number) {
    this.id = options.id;
    this.sandboxId = options.id;
    this.bundle = options.bundle;
    this.pid = pid;
    this.options = options;
  }

  state(): Promise<never> {
    return Promise.reject(new Error('not used'));
  }
  async start(): Promise<void> {
    this.calls.push('start');
    if (this.startError !== null) throw this.startError;
  }
  async exec(options: ExecOptions): Promise<{ pid: number }> {
    this.calls.push(`exec ${options.execId} ${options.process.args.join(' ')}`);
    if (options.process.args[0] === 'missing') throw new RuntimeError('Invalid', 'exec: missing: no such file or directory');
    this.execs.set(options.execId, fakeProcess());
    return { pid: this.#nextPid++ };
  }
  async kill(signal: number, options: { all?: boolean; execId?: string } = {}): Promise<void> {
    this.calls.push(`kill ${signal} ${options.execId ?? ''}${options.all === true ? ' all' : ''}`);
    const process = options.execId === undefined ? this.init : this.execs.get(options.execId);
    if (process === undefined || process.done) throw new RuntimeError('NotFound', 'no such process');
    if (signal === 9) process.exit(137);
  }
  wait(execId?: string): Promise<ExitStatus> {
    return (execId === undefined ? this.init : (this.execs.get(execId) as FakeProcess)).exited;
  }
  async delete(): Promise<void> {
    this.calls.push('delete');
    if (!this.init.done) this.init.exit(137);
  }
  async pause(): Promise<void> {}
  async resume(): Promise<void> {}
  async update(resources: unknown): Promise<void> {
    this.calls.push(`update ${JSON.stringify(resources)}`);
  }
  async processes(): Promise<[]> {
    return [];
  }
  hostPids(): number[] {
    return [this.pid + 1];
  }
  async stats() {
    return {
      cgroupVersion: 1 as const,
      cpu: { total: 3, user: 1, system: 2 },
      memory: { usage: 5, limit: Number.POSITIVE_INFINITY, anon: 4, inactiveFile: 1, oomKills: 0 },
      pids: { current: 1, limit: Number.POSITIVE_INFINITY },
      network: null,
    };
  }
  async resize(size: { rows: number; columns: number }, execId?: string): Promise<void> {
    this.calls.push(`resize ${size.rows}x${size.columns} ${execId ?? ''}`);
  }
  async closeStdin(): Promise<void> {}
  watchOom(onOom: () => void): () => void {
    this.onOom = onOom;
    return () => {
      this.onOom = () => {};
    };
  }
  close(): void {}
}

export class FakeContainers implements ContainersApi {
  readonly made = new Map<string, FakeContainer>();
  createError: Error | null = null;

  async create(options: CreateOptions): Promise<FakeContainer> {
    if (this.createError !== null) throw this.createError;
    const container = new FakeContainer(options, 1000 + this.made.size);
    this.made.set(options.id, container);
    return container;
  }
  load(): Promise<never> {
    return Promise.reject(new Error('not used'));
  }
  async list(): Promise<[]> {
    return [];
  }
  async destroy(): Promise<void> {}
}
