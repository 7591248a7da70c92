/** port-forward: a port of this machine leads to a port of a container's loopback, as long as the command runs. */
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { command } from '../cli/command.ts';
import type { Context } from '../cli/context.ts';
import { UsageError } from '../cli/flags.ts';
import type { Container } from '../container/container.ts';

const LOCAL_ADDRESS = '127.0.0.1';

export const portForward = command('port-forward', {
  usage: 'ID [[ADDRESS:]LOCAL:]PORT',
  summary: "make a container's port reachable at a port of this machine; LOCAL 0 takes a free one",
  flags: {},
  words: [2, 2],
  run: async (context, _flags, [id, text]) => {
    const place = parsePlace(text as string);
    const container = await context.containers.load(id as string);
    return listen(context, container, place);
  },
});

export interface Place {
  readonly address: string;
  readonly local: number;
  readonly port: number;
}

/** @throws UsageError */
export function parsePlace(text: string): Place {
  const match = /^(?:(?:(\[[0-9a-f:]+\]|[^:]+):)?(\d+):)?(\d+)$/i.exec(text);
  const port = Number(match?.[3]);
  const local = Number(match?.[2] ?? port);
  if (match === null || port < 1 || port > 65_535 || local > 65_535)
    throw new UsageError(`${text} is not of the form [[ADDRESS:]LOCAL:]PORT`);
  return { address: (match[1] ?? LOCAL_ADDRESS).replace(/^\[|\]$/g, ''), local, port };
}

function listen(context: Context, container: Container, { address, local, port }: Place): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer({ pauseOnConnect: true }, (socket) => void forward(context, container, socket, port));
    server.on('error', (e) => reject(new Error(`cannot listen at ${address}:${local}: ${e.message}`)));
    server.listen(local, address, () => {
      const bound = server.address() as AddressInfo;
      process.stdout.write(`forwarding ${bound.address}:${bound.port} to port ${port} of ${container.id}\n`);
    });
    // The connections that were handed over go on without us.
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve(0));
    void container.wait().then(
      () => resolve(0),
      () => resolve(0),
    );
  });
}

/** The sandbox gets the connection itself: no byte passes through here. */
async function forward(context: Context, container: Container, socket: Socket, port: number): Promise<void> {
  socket.on('error', () => {});
  try {
    const { fd } = (socket as unknown as { _handle: { fd: number } })._handle;
    await container.forward(fd, port);
    socket.destroy();
  } catch (e) {
    context.warn((e as Error).message);
    socket.resetAndDestroy();
  }
}
