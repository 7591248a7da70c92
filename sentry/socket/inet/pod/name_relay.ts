/**
 * The container engine's name server: Docker's user-defined networks answer names at 127.0.0.11, on the loopback of the pod's namespace.
 * The sandbox has a loopback of its own; what is sent to that address there is relayed, over UDP and TCP, and the answers come back.
 */
import { EAGAIN, EINTR } from '../../../../abi/errno.ts';
import { POLLIN } from '../../../../abi/poll.ts';
import type { IpAddress } from '../../../../netstack/address.ts';
import { PLAIN_SEND, type Stack } from '../../../../netstack/stack.ts';
import { TcpOptions } from '../../../../netstack/tcp/connection.ts';
import type { Listener } from '../../../../netstack/tcp/listener.ts';
import { UdpEndpoint } from '../../../../netstack/udp.ts';
import type { Kernel } from '../../../kernel/kernel.ts';
import { type HostSockets, NAME_SERVER_TCP, NAME_SERVER_UDP } from './host_sockets.ts';
import { StreamBridge } from './stream_bridge.ts';

// Host system calls, x86-64.
const NR = { sendto: 44, recvfrom: 45 } as const;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
const RESOLVER: IpAddress = '\x7f\0\0\x0b';
const PORT = 53;
const HEADER = 12;
const LONGEST = 65_535;
/** Questions under way, ns that one may take, connections. */
const MAX_QUESTIONS = 1024;
const PATIENCE = 20e9;
const MAX_STREAMS = 64;

interface Question {
  readonly address: IpAddress;
  readonly port: number;
  /** As the asker chose it. */
  readonly id: number;
  readonly asked: number;
}

export class NameRelay {
  private readonly kernel: Kernel;
  private readonly sockets: HostSockets;
  private readonly endpoint: UdpEndpoint;
  /** By the number that goes out, which nobody inside knows. */
  private readonly questions = new Map<number, Question>();
  private fd = -1;
  private streams = 0;
  private readonly buffer = new Uint8Array(LONGEST);
  /** Told of each answer. */
  onAnswer: (message: Uint8Array) => void = () => {};

  constructor(kernel: Kernel, stack: Stack, sockets: HostSockets) {
    this.kernel = kernel;
    this.sockets = sockets;
    this.endpoint = new UdpEndpoint(stack.udp, 4, RESOLVER, () => this.ask());
    this.endpoint.serve(RESOLVER, PORT);
    const binding = {
      ...{ address: RESOLVER, port: PORT, onlyV6: false, reuseAddress: false, reusePort: false, uid: 0, listening: false, shared: false },
    };
    const listener = stack.tcp.listen(binding, 4, new TcpOptions(), 0, MAX_STREAMS, () => this.accept(listener as Listener));
    sockets.open(NAME_SERVER_UDP, 4, 0, (fd) => {
      if (fd < 0) return;
      this.fd = fd;
      kernel.poll.add(fd, POLLIN, () => this.answer());
      this.ask();
    });
  }

  private ask(): void {
    if (this.fd < 0) return; // it waits in the endpoint
    for (;;) {
      const datagram = this.endpoint.next();
      if (typeof datagram === 'number') return;
      const { bytes, source, sourcePort } = datagram;
      if (bytes.length < HEADER) continue;
      const id = this.chooseId();
      if (id < 0) continue;
      const asked = this.kernel.now();
      this.questions.set(id, { address: source, port: sourcePort, id: ((bytes[0] as number) << 8) | (bytes[1] as number), asked });
      const copy = bytes.slice();
      copy[0] = id >>> 8;
      copy[1] = id;
      this.kernel.host.syscall(NR.sendto, this.fd, copy, copy.length, MSG_DONTWAIT | MSG_NOSIGNAL, null, 0);
    }
  }
  /** Not in use; -1: too many are. */
  private chooseId(): number {
    const limit = this.kernel.now() - PATIENCE;
    for (const [id, question] of this.questions) {
      if (question.asked > limit) break; // in the order of their asking
      this.questions.delete(id);
    }
    if (this.questions.size >= MAX_QUESTIONS) return -1;
    for (;;) {
      const id = this.kernel.randomBelow(0x1_0000);
      if (!this.questions.has(id)) return id;
    }
  }
  private answer(): void {
    for (;;) {
      const n = this.kernel.host.syscall(NR.recvfrom, this.fd, this.buffer, LONGEST, MSG_DONTWAIT, null, 0);
      if (n === EINTR) continue;
      if (n === EAGAIN) return;
      if (n < HEADER) {
        if (n < 0) return; // the server was not there a moment ago
        continue;
      }
      this.passOn(this.buffer.subarray(0, n));
    }
  }
  private passOn(message: Uint8Array): void {
    const id = ((message[0] as number) << 8) | (message[1] as number);
    const question = this.questions.get(id);
    if (question === undefined) return;
    this.questions.delete(id);
    message[0] = question.id >>> 8;
    message[1] = question.id;
    this.onAnswer(message);
    const take = (into: Uint8Array, start: number): number => {
      into.set(message, start);
      return message.length;
    };
    this.endpoint.send({ address: question.address, port: question.port }, message.length, take, PLAIN_SEND, RESOLVER);
    this.endpoint.udp.stack.deliver();
  }

  private accept(listener: Listener): void {
    for (;;) {
      const c = listener.accept();
      if (typeof c === 'number') return;
      if (this.streams >= MAX_STREAMS) {
        c.close(true);
        continue;
      }
      this.streams++;
      this.sockets.open(NAME_SERVER_TCP, 4, 0, (fd) => {
        if (fd >= 0) {
          new StreamBridge(this.kernel, fd, c, () => this.streams--);
          return;
        }
        this.streams--;
        c.close(true);
        c.stack.deliver();
      });
    }
  }
}
