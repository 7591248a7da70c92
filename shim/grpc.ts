/**
 * The same services over gRPC: containerd speaks it where the shim's answer to `start` says so. Loaded with the first such connection, because
 * the library costs as much to load as the rest of the daemon.
 */
import type { Socket } from 'node:net';
import type { ConnectionInjector, MethodDefinition, ServerUnaryCall, sendUnaryData } from '@grpc/grpc-js';
import type { Method, Service } from '../lib/ttrpc/server.ts';
import { statusOf } from '../lib/ttrpc/status.ts';

/** Largest message, as ttrpc's. */
const MAX_MESSAGE = 4 << 20;

export interface GrpcAcceptor {
  accept(socket: Socket): void;
}

/** `services`: by full name. Messages stay encoded: the methods decode them. */
export async function grpcAcceptor(services: ReadonlyMap<string, Service>): Promise<GrpcAcceptor> {
  const { Server, ServerCredentials } = await import('@grpc/grpc-js');
  const server = new Server({
    'grpc.max_receive_message_length': MAX_MESSAGE,
    'grpc.max_send_message_length': MAX_MESSAGE,
    // A daemon that waits for a container's end for weeks is not idle.
    'grpc.max_connection_idle_ms': 0x7fffffff,
  });
  for (const [name, service] of services) {
    const definition: Record<string, MethodDefinition<Uint8Array, Uint8Array>> = {};
    const handlers: Record<string, (call: ServerUnaryCall<Uint8Array, Uint8Array>, done: sendUnaryData<Uint8Array>) => void> = {};
    for (const [method, run] of Object.entries(service)) {
      definition[method] = describe(`/${name}/${method}`);
      handlers[method] = (call, done) => void answer(run, call, done);
    }
    server.addService(definition, handlers);
  }
  const injector: ConnectionInjector = server.createConnectionInjector(ServerCredentials.createInsecure());
  return { accept: (socket) => injector.injectConnection(socket) };
}

function describe(path: string): MethodDefinition<Uint8Array, Uint8Array> {
  const same = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  return {
    path,
    requestStream: false,
    responseStream: false,
    requestSerialize: same,
    requestDeserialize: same,
    responseSerialize: same,
    responseDeserialize: same,
  };
}

async function answer(run: Method, call: ServerUnaryCall<Uint8Array, Uint8Array>, done: sendUnaryData<Uint8Array>): Promise<void> {
  const controller = new AbortController();
  call.on('cancelled', () => controller.abort());
  try {
    const metadata = Object.entries(call.metadata.getMap()).map(([key, value]): [string, string] => [key, value.toString()]);
    done(null, await run(call.request, { metadata, signal: controller.signal }));
  } catch (error) {
    const { code, message } = statusOf(error);
    done({ code, details: message });
  }
}
