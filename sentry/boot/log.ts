/** The sandbox's log: lines on descriptor 2, which runsc has made a file. */
import type { Host } from '../../lib/host.ts';

const STDERR = 2;
/** Bytes that a sandbox may log unless debugging is on: the file lies in memory, and applications can cause lines. */
const QUIET_LIMIT = 1 << 20;

export class SandboxLog {
  private readonly host: Host;
  private verbose: boolean;
  private written = 0;

  constructor(host: Host, verbose: boolean) {
    this.host = host;
    this.verbose = verbose;
  }

  setVerbose(verbose: boolean): void {
    this.verbose = verbose;
  }

  readonly line = (text: string): void => {
    if (!this.verbose && this.written > QUIET_LIMIT) return;
    const at = this.host.realtimeNow() / 1e6;
    const bytes = Buffer.from(`${new Date(at).toISOString()} ${text}\n`);
    this.written += bytes.length;
    this.host.write(STDERR, bytes);
  };
}
