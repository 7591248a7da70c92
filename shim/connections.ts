/** The daemon's socket speaks ttrpc and gRPC: the first byte of a connection tells them apart. */
import type { Server, Socket } from 'node:net';
import { peerCredentials } from '../lib/peer_credentials.ts';
import { type Service, TtrpcServer } from '../lib/ttrpc/server.ts';
import type { GrpcAcceptor } from './grpc.ts';
import type { Log } from './log.ts';

/** "PRI * HTTP/2.0": a ttrpc frame starts with a length below 2^24. */
const HTTP2_FIRST = 0x50;

/** Peers must have our own uid. */
export function serveConnections(listener: Server, services: ReadonlyMap<string, Service>, log: Log): void {
  const uid = process.geteuid?.() ?? 0;
  const ttrpc = new TtrpcServer(uid);
  for (const [name, service] of services) ttrpc.register(name, service);
  let grpc: Promise<GrpcAcceptor> | null = null;

  const acceptGrpc = (socket: Socket): void => {
    grpc ??= import('./grpc.ts').then(({ grpcAcceptor }) => grpcAcceptor(services));
    grpc.then(
      (acceptor) => acceptor.accept(socket),
      (error: Error) => {
        log.error('gRPC is not to be had', { error: error.message });
        socket.destroy();
      },
    );
  };
  listener.on('connection', (socket: Socket) => {
    if (peerCredentials(socket)?.uid !== uid) {
      socket.destroy();
      return;
    }
    socket.on('error', () => socket.destroy());
    socket.once('readable', () => {
      const first = socket.read() as Buffer | null;
      if (first === null) return void socket.destroy(); // it ended without a word
      socket.unshift(first);
      if (first[0] === HTTP2_FIRST) acceptGrpc(socket);
      else ttrpc.accept(socket);
    });
  });
}
