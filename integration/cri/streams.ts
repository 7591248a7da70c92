/** Exec, Attach and PortForward: the URL that CRI gives is a WebSocket whose messages start with the number of their stream. */

/** ms until the other end must have said what is waited for. */
const PATIENCE = 20_000;
const STDIN = 0;
const STDOUT = 1;
const STDERR = 2;
const ERROR = 3;
const RESIZE = 4;

export class RemoteStreams {
  stdout = '';
  stderr = '';
  forwarded = '';
  /** The status object at the end, as JSON; empty before. */
  error = '';
  closed = false;
  readonly #socket: WebSocket;
  readonly #waiting = new Set<() => void>();

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.binaryType = 'arraybuffer';
    socket.onmessage = ({ data }: { data: unknown }) => this.#receive(Buffer.from(data as ArrayBuffer));
    socket.onclose = () => {
      this.closed = true;
      this.#wake();
    };
  }

  static async open(url: string, protocol = 'v4.channel.k8s.io'): Promise<RemoteStreams> {
    const socket = new WebSocket(url.replace(/^http/, 'ws'), [protocol]);
    await new Promise((resolve, reject) => {
      socket.onopen = resolve;
      socket.onerror = () => reject(new Error(`cannot open ${url}`));
    });
    return new RemoteStreams(socket);
  }

  #receive(message: Buffer): void {
    const text = message.subarray(1).toString('latin1');
    this.forwarded += message[0] === 0 ? text : ''; // PortForward: data comes on the first of the port's two channels
    if (message[0] === STDOUT) this.stdout += text;
    else if (message[0] === STDERR) this.stderr += text;
    else if (message[0] === ERROR) this.error += text;
    this.#wake();
  }

  #wake(): void {
    for (const look of this.#waiting) look();
  }

  send(text: string, channel = STDIN): void {
    this.#socket.send(Buffer.concat([Buffer.from([channel]), Buffer.from(text, 'latin1')]));
  }

  resize(rows: number, columns: number): void {
    this.send(JSON.stringify({ Width: columns, Height: rows }), RESIZE);
  }

  /** Rejects if `condition` does not become true. */
  until(condition: (streams: this) => boolean, what: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => finish(new Error(`${what}: not seen; stdout ${JSON.stringify(this.stdout)}, error ${this.error}`)),
        PATIENCE,
      );
      const finish = (error?: Error): void => {
        clearTimeout(timer);
        this.#waiting.delete(look);
        if (error === undefined) resolve();
        else reject(error);
      };
      const look = (): void => {
        if (condition(this)) finish();
        else if (this.closed)
          finish(new Error(`${what}: the connection was closed; stdout ${JSON.stringify(this.stdout)}, error ${this.error}`));
      };
      this.#waiting.add(look);
      look();
    });
  }

  /** The exit status that the end's message tells; 0 for success. */
  get exitStatus(): number {
    const status = JSON.parse(this.error) as { status: string; details?: { causes?: { reason: string; message: string }[] } };
    return status.status === 'Success' ? 0 : Number(status.details?.causes?.find((c) => c.reason === 'ExitCode')?.message ?? -1);
  }

  close(): void {
    this.#socket.close();
  }
}
