/**
 * The shim's log: lines in containerd's form into its log fifo (dropped if nobody reads: a log never holds up a container),
 * and, where the options ask for it, a file through winston, which is loaded only then.
 */
import { host } from '../lib/host.ts';
import type { LogLevel } from './options.ts';

const RANK: Readonly<Record<LogLevel, number>> = { debug: 0, info: 1, warn: 2, error: 3 };
const CONTAINERD_NAME: Readonly<Record<LogLevel, string>> = { debug: 'debug', info: 'info', warn: 'warning', error: 'error' };

export type LogFields = Readonly<Record<string, string | number | boolean | undefined>>;

interface FileLogger {
  log(level: string, message: string, fields: LogFields): void;
}

export class Log {
  #fd: number | null;
  #level: LogLevel;
  #file: FileLogger | null = null;
  readonly #fields: LogFields;

  /** `fd`: the log fifo, non-blocking, or null. `fields` go with every line. */
  constructor(fd: number | null, level: LogLevel, fields: LogFields) {
    this.#fd = fd;
    this.#level = level;
    this.#fields = fields;
  }

  /** Adds a log file. Failures are logged to the fifo: a wrong path must not fail the container. */
  async openFile(path: string, level: LogLevel): Promise<void> {
    this.#level = level;
    if (path === '' || this.#file !== null) return;
    try {
      const winston = await import('winston');
      this.#file = winston.createLogger({
        level,
        format: winston.format.combine(winston.format.timestamp(), winston.format.json()),
        transports: [new winston.transports.File({ filename: path })],
      });
    } catch (error) {
      this.error('cannot open the log file', { path, error: String(error) });
    }
  }

  debug(message: string, fields: LogFields = {}): void {
    this.#write('debug', message, fields);
  }
  info(message: string, fields: LogFields = {}): void {
    this.#write('info', message, fields);
  }
  warn(message: string, fields: LogFields = {}): void {
    this.#write('warn', message, fields);
  }
  error(message: string, fields: LogFields = {}): void {
    this.#write('error', message, fields);
  }

  #write(level: LogLevel, message: string, fields: LogFields): void {
    if (RANK[level] < RANK[this.#level]) return;
    const all = { ...this.#fields, ...fields };
    this.#file?.log(level, message, all);
    if (this.#fd !== null) host.write(this.#fd, Buffer.from(logLine(new Date(), level, message, all)));
  }
}

/** One line of key=value pairs, as containerd's own log has them. */
export function logLine(at: Date, level: LogLevel, message: string, fields: LogFields): string {
  let line = `time=${JSON.stringify(at.toISOString())} level=${CONTAINERD_NAME[level]} msg=${JSON.stringify(message)}`;
  for (const [key, value] of Object.entries(fields)) {
    if (value === undefined) continue;
    const plain = String(value);
    line += ` ${key}=${/^[\w.:/-]+$/.test(plain) ? plain : JSON.stringify(plain)}`;
  }
  return `${line}\n`;
}
