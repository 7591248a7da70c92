/** `serve`: the daemon behind the socket that `start` made. It lives as long as it has containers, or somebody may still send one. */
import { unlinkSync } from 'node:fs';
import { createServer } from 'node:net';
import { TtrpcClient } from '../lib/ttrpc/client.ts';
import type { ShimArguments } from './arguments.ts';
import { serveConnections } from './connections.ts';
import { eventSink } from './event_sink.ts';
import { EventPublisher } from './events.ts';
import { openContainers } from './library.ts';
import { Log } from './log.ts';
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
  const lifetime = new Lifetime(args.socket, publisher);
  const service = new TaskService({
    namespace: args.namespace,
    events: eventSink(publisher),
    log,
    containers: openContainers,
    configure: (options, id) =>
      log.openFile(
        options.logPath.replaceAll('%ID%', id).replaceAll('%NAMESPACE%', args.namespace),
        args.debug ? 'debug' : options.logLevel,
      ),
    occupied: (some) => lifetime.occupied(some),
    shutdown: () => void lifetime.end(),
  });
  const methods = service.service();
  const listener = createServer();
  const services = new Map([
    ['containerd.task.v2.Task', methods],
    ['containerd.task.v3.Task', methods],
    [SANDBOX_SERVICE, new SandboxService(service.registry, () => void lifetime.end()).service()],
  ]);
  serveConnections(listener, services, log);
  listener.listen({ fd: LISTEN_FD });

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
  readonly #socket: string;
  readonly #publisher: EventPublisher;
  #timer: NodeJS.Timeout | null = null;

  constructor(socket: string, publisher: EventPublisher) {
    this.#socket = socket;
    this.#publisher = publisher;
    this.occupied(false);
  }

  occupied(some: boolean): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = some ? null : setTimeout(() => void this.end(), IDLE_LIMIT);
  }

  /** The answer to Shutdown is written before the process goes: the queue's flush gives it the time. */
  async end(): Promise<void> {
    try {
      unlinkSync(this.#socket); // from here on a `start` makes a new daemon
    } catch {
      // `delete` was first
    }
    await this.#publisher.flush(FLUSH_PATIENCE);
    setTimeout(() => process.exit(0), 10);
  }
}
