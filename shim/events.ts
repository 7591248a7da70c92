/**
 * Events to containerd: one queue in the order in which things happened, sent one at a time, each retried until containerd
 * takes it, also across containerd's restarts.
 */
import type { TtrpcClient } from '../lib/ttrpc/client.ts';
import { DEADLINE_EXCEEDED, StatusError, UNAVAILABLE } from '../lib/ttrpc/status.ts';
import { type Any, Events, timestamp } from '../proto/messages.ts';
import type { Log } from './log.ts';

const SERVICE = 'containerd.services.events.ttrpc.v1.Events';
/** ms one attempt may take. */
const ATTEMPT_TIMEOUT = 5000;
/** ms between attempts: doubled from the first to the last. */
const FIRST_PAUSE = 50;
const LAST_PAUSE = 2000;

export type Connect = () => Promise<TtrpcClient>;

export class EventPublisher {
  readonly #namespace: string;
  readonly #connect: Connect | null;
  readonly #log: Log;
  readonly #queue: Uint8Array[] = [];
  #client: TtrpcClient | null = null;
  #sending = false;
  #idle: (() => void)[] = [];

  /** `connect` null: there is nobody to tell (no TTRPC_ADDRESS). */
  constructor(namespace: string, connect: Connect | null, log: Log) {
    this.#namespace = namespace;
    this.#connect = connect;
    this.#log = log;
  }

  /** Queues an event; its time is now. */
  publish(topic: string, event: Any): void {
    if (this.#connect === null) return;
    const envelope = { timestamp: timestamp(Date.now()), namespace: this.#namespace, topic, event };
    this.#queue.push(Events.ForwardRequest.encode({ envelope }).finish());
    this.#log.debug('event', { topic, type: event.type_url });
    if (!this.#sending) void this.#send();
  }

  /** Resolves when everything queued has been taken, or after `timeoutMs`. */
  flush(timeoutMs: number): Promise<void> {
    if (!this.#sending) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, timeoutMs);
      this.#idle.push(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  async #send(): Promise<void> {
    this.#sending = true;
    let pause = FIRST_PAUSE;
    while (this.#queue.length > 0) {
      const error = await this.#attempt(this.#queue[0] as Uint8Array);
      if (error === null) {
        this.#queue.shift();
        pause = FIRST_PAUSE;
      } else {
        this.#log.warn('containerd did not take an event; trying again', { error, queued: this.#queue.length });
        await new Promise((resolve) => setTimeout(resolve, pause));
        pause = Math.min(pause * 2, LAST_PAUSE);
      }
    }
    this.#sending = false;
    for (const resolve of this.#idle.splice(0)) resolve();
  }

  /** Null on success. An answer that refuses the event is final: it is logged, and the queue goes on. */
  async #attempt(request: Uint8Array): Promise<string | null> {
    try {
      if (this.#client === null || this.#client.closed) this.#client = await (this.#connect as Connect)();
      await this.#client.call(SERVICE, 'Forward', request, { timeoutMs: ATTEMPT_TIMEOUT, metadata: this.#metadata() });
      return null;
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      if (error instanceof StatusError && error.code !== UNAVAILABLE && error.code !== DEADLINE_EXCEEDED) {
        this.#log.error('containerd refused an event', { error: message });
        return null;
      }
      this.#client?.close();
      this.#client = null;
      return message;
    }
  }

  #metadata(): [string, string][] {
    return [['containerd-namespace-ttrpc', this.#namespace]];
  }
}
