/** From the failures of the container library to the codes that containerd acts on. */
import {
  ALREADY_EXISTS,
  FAILED_PRECONDITION,
  INVALID_ARGUMENT,
  NOT_FOUND,
  StatusError,
  UNIMPLEMENTED,
  UNKNOWN,
} from '../lib/ttrpc/status.ts';
import { RuntimeError, type RuntimeErrorKind } from '../runsc/container/types.ts';
import { OptionsError } from './options.ts';

const CODE: Readonly<Record<RuntimeErrorKind, number>> = {
  NotFound: NOT_FOUND,
  Exists: ALREADY_EXISTS,
  State: FAILED_PRECONDITION,
  Invalid: INVALID_ARGUMENT,
  Unsupported: UNIMPLEMENTED,
  Internal: UNKNOWN,
};

/** The chain of causes goes into the message: it is all that a person at the other end sees. */
export function errorChain(error: unknown): string {
  const parts: string[] = [];
  for (let at = error, depth = 0; at !== undefined && at !== null && depth < 8; depth++) {
    const message = at instanceof Error ? at.message : String(at);
    if (!parts.some((p) => p.includes(message))) parts.push(message);
    at = at instanceof Error ? at.cause : undefined;
  }
  return parts.join(': ');
}

export function toStatus(error: unknown): StatusError {
  if (error instanceof StatusError) return error;
  if (error instanceof RuntimeError) return new StatusError(CODE[error.kind], errorChain(error));
  if (error instanceof OptionsError) return new StatusError(INVALID_ARGUMENT, error.message);
  return new StatusError(UNKNOWN, errorChain(error));
}

export function isNotFound(error: unknown): boolean {
  return (error instanceof RuntimeError && error.kind === 'NotFound') || (error instanceof StatusError && error.code === NOT_FOUND);
}
