/** `serve`: the daemon behind the socket that `start` made. It lives as long as it has containers, or somebody may still send one. */
import { unlinkSync } from 'node:fs';
import { createServer } from 'node:net';
import { TtrpcClient } from '../lib/ttrpc/client.ts';
import type { ShimArguments } from './arguments.ts';
import { serveConnections } from './connections.ts';
import { eventSink, SILENT } from './event_sink.ts';
import { EventPublisher } from './events.ts';
import { workerSocket } from './keeper.ts';
import { openContainers } from './library.ts';
import { Log } from './log.ts';
import { NO_RECORDS, RecordFolder } from './record.ts';
import { SANDBOX_SERVICE, SandboxService } from './sandbox_service.ts';
import { LISTEN_FD } from './start.ts';
import { TaskService } from './task_service.ts';

/** ms without a container after which nobody is expected to send one. */
const IDLE_LIMIT = 60_000;
/** ms to connect to containerd's event service. */
const CONNECT_TIMEOUT = 2000;
/** ms that the last events may take after Shutdown. */
const FLUSH_PATIENCE = 5000;
const LOG_FD = 2;

export function serve(args: ShimArguments): void {
  const log = new Log(LOG_FD, args.debug ? 'debug' : 'info', { namespace: args.namespace, shim: args.id });
  const address = process.env.TTRPC_ADDRESS ?? '';
  const connect = address === '' ? null : () => TtrpcClient.connect(address.replace(/^unix:\/\//, ''), CONNECT_TIMEOUT);
  const publisher = new EventPublisher(args.namespace, connect, log);
  const folder = args.node ? new RecordFolder(args.socket) : null;
  const lifetime = new Lifetime(args, publisher, () => folder?.destroy());
  const service = new TaskService({
    namespace: args.namespace,
    events: eventSink(publisher),
    log,
    records: folder ?? NO_RECORDS,
    containers: openContainers,
    configure: (options, id) =>
      log.openFile(
        options.logPath.replaceAll('%ID%', id).replaceAll('%NAMESPACE%', args.namespace),
        args.debug ? 'debug' : options.logLevel,
      ),
    occupied: (some) => lifetime.occupied(some),
    shutdown: () => lifetime.unneeded(),
  });
  const methods = service.service();
  const sandboxes = new SandboxService(service.registry, () => lifetime.unneeded());
  const listener = createServer();
  const services = new Map([
    ['containerd.task.v2.Task', methods],
    ['containerd.task.v3.Task', methods],
    [SANDBOX_SERVICE, sandboxes.service()],
  ]);
  serveConnections(listener, services, log);
  const listen = (): void => void listener.listen({ fd: LISTEN_FD });
  if (folder === null) listen();
  else {
    process.stdin.on('end', () => process.exit(1)).resume(); // the keeper is gone, and containerd's connections with it
    listener.on('connection', (socket) => {
      lifetime.connected(1);
      socket.on('close', () => lifetime.connected(-1));
    });
    // Who asks must find the containers: nobody is served before.
    void service.registry.recover(folder.all(), SILENT).then((found) => {
      for (const { id, origin } of found) if (origin.pod) sandboxes.adopt(id, origin.createdAt);
      if (found.length > 0) log.info('took over', { containers: found.length });
      listen();
    });
  }

  for (const signal of ['SIGINT', 'SIGHUP', 'SIGPIPE', 'SIGTERM'] as const)
    process.on(signal, () => {
      if (signal === 'SIGTERM' && service.empty) void lifetime.end();
    });
  process.on('uncaughtException', (error) => log.error('unexpected failure', { error: error.stack ?? String(error) }));
  process.on('unhandledRejection', (error) =>
    log.error('unexpected failure', { error: error instanceof Error ? (error.stack ?? '') : String(error) }),
  );
  log.debug('serving', { socket: args.socket });
}

/** When the daemon ends: on Shutdown, or after a while without containers. */
class Lifetime {
  readonly #args: ShimArguments;
  readonly #publisher: EventPublisher;
  readonly #last: () => void;
  #timer: NodeJS.Timeout | null = null;
  #occupied = false;
  #connections = 0;

  /** `last`: called when it ends. */
  constructor(args: ShimArguments, publisher: EventPublisher, last: () => void) {
    this.#args = args;
    this.#publisher = publisher;
    this.#last = last;
    this.#consider();
  }

  occupied(some: boolean): void {
    this.#occupied = some;
    this.#consider();
  }

  /** A node's daemon stays while anybody is connected: it may be about to send a container. */
  connected(change: 1 | -1): void {
    this.#connections += change;
    this.#consider();
  }

  #consider(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    const needed = this.#occupied || (this.#args.node && this.#connections > 0);
    this.#timer = needed ? null : setTimeout(() => void this.end(), IDLE_LIMIT);
  }

  /** The last container is gone. A node's daemon waits for the next one. */
  unneeded(): void {
    if (!this.#args.node) void this.end();
  }

  /** The answer to Shutdown is written before the process goes: the queue's flush gives it the time. */
  async end(): Promise<void> {
    const { socket, node } = this.#args;
    for (const path of node ? [socket, workerSocket(socket)] : [socket]) {
      try {
        unlinkSync(path); // from here on a `start` makes a new daemon
      } catch {
        // `delete` was first
      }
    }
    this.#last();
    await this.#publisher.flush(FLUSH_PATIENCE);
    setTimeout(() => process.exit(0), 10);
  }
}
