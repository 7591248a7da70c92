/** The status codes of ttrpc (those of gRPC) and the error that carries one. */
export const OK = 0;
export const CANCELLED = 1;
export const UNKNOWN = 2;
export const INVALID_ARGUMENT = 3;
export const DEADLINE_EXCEEDED = 4;
export const NOT_FOUND = 5;
export const ALREADY_EXISTS = 6;
export const PERMISSION_DENIED = 7;
export const RESOURCE_EXHAUSTED = 8;
export const FAILED_PRECONDITION = 9;
export const UNIMPLEMENTED = 12;
export const INTERNAL = 13;
export const UNAVAILABLE = 14;

/** Ends of messages by which callers that see the text alone still know the kind. */
const SUFFIX: Readonly<Record<number, string>> = {
  [INVALID_ARGUMENT]: 'invalid argument',
  [NOT_FOUND]: 'not found',
  [ALREADY_EXISTS]: 'already exists',
  [FAILED_PRECONDITION]: 'failed precondition',
  [UNIMPLEMENTED]: 'not implemented',
  [UNAVAILABLE]: 'unavailable',
};

/** A call's failure, as the peer sees it. */
export class StatusError extends Error {
  readonly code: number;

  constructor(code: number, message: string) {
    const suffix = SUFFIX[code];
    super(suffix === undefined || message.endsWith(suffix) ? message : `${message}: ${suffix}`);
    this.name = 'StatusError';
    this.code = code;
  }
}

export function statusOf(error: unknown): { code: number; message: string } {
  if (error instanceof StatusError) return { code: error.code, message: error.message };
  return { code: UNKNOWN, message: error instanceof Error ? error.message : String(error) };
}
