/** Errors that wait to be read with MSG_ERRQUEUE (IP_RECVERR, ip(7)), and completions of MSG_ZEROCOPY. */
import type { Errno } from '../abi/errno.ts';
import type { IpAddress } from './address.ts';

/** Of the packet that brought the news. */
export interface Telling {
  readonly destination: IpAddress;
  readonly arrival: number;
  readonly ttl: number;
  readonly tos: number;
}
export interface QueuedError {
  readonly errno: Errno | 0;
  /** SO_EE_ORIGIN_*. */
  readonly origin: number;
  readonly type: number;
  readonly code: number;
  readonly info: number;
  readonly data: number;
  /** Who told; null: we did. */
  readonly from: IpAddress | null;
  /** How that message came; null: none did. */
  readonly told: Telling | null;
  /** Where the packet should have gone. */
  readonly destination: IpAddress | null;
  readonly port: number;
  /** Of the packet, without its headers. */
  readonly payload: Uint8Array;
}
const MAX_ERRORS = 128;

export class ErrorQueue {
  private readonly errors: QueuedError[] = [];
  get length(): number {
    return this.errors.length;
  }
  push(error: QueuedError): void {
    if (this.errors.length < MAX_ERRORS) this.errors.push(error);
  }
  get last(): QueuedError | null {
    return this.errors.at(-1) ?? null;
  }
  replaceLast(error: QueuedError): void {
    this.errors[this.errors.length - 1] = error;
  }
  next(): QueuedError | null {
    return this.errors.shift() ?? null;
  }
}
