/** Numbers about host processes, from procfs. 0 where the host does not say. */
import type { Host } from '../lib/host.ts';

const O_RDONLY_CLOEXEC = 0o2000000;
const O_WRONLY_CLOEXEC = 0o2000001;
const HOST_PAGE = 4096;
/** Of proc_pid_stat(5), counted from 1. */
const PROCESSOR_FIELD = 39;
/** oom_score_adj(5): at most; and by how much more an application is to be chosen than the Sentry, whose memory may be the larger. */
const OOM_ADJ_MAX = 1000;
const OOM_MARGIN = 500;

export class HostProc {
  readonly fd: number;
  private readonly host: Host;
  private readonly bytes = new Uint8Array(512);
  /** Of this process: applications' are higher. */
  private ownOomScore: number | null = null;

  /** fd: a directory of a procfs that shows this process's children. */
  constructor(host: Host, fd: number) {
    this.host = host;
    this.fd = fd;
  }
  /** CPU time of one thread, ns (proc_pid_schedstat). */
  cpuTime(pid: number, tid: number): number {
    return Number(this.read(`${pid}/task/${tid}/schedstat`).split(' ')[0]) || 0;
  }
  /** The CPU that a thread ran on last (proc_pid_stat(5), field 39). */
  processor(pid: number, tid: number): number {
    const text = this.read(`${pid}/task/${tid}/stat`);
    return Number(text.slice(text.lastIndexOf(')') + 2).split(' ')[PROCESSOR_FIELD - 3]) || 0;
  }
  /** Bytes (proc_pid_statm(5)); shared: of files and shared memory. */
  resident(pid: number): { readonly total: number; readonly shared: number } {
    const fields = this.read(`${pid}/statm`).split(' ');
    return { total: (Number(fields[1]) || 0) * HOST_PAGE, shared: (Number(fields[2]) || 0) * HOST_PAGE };
  }
  /** How soon the host ends the process when memory is short: as the application wants it, but always before this process. */
  setOomScore(pid: number, wanted: number): void {
    this.ownOomScore ??= Number(this.read('self/oom_score_adj')) || 0;
    const fd = this.host.openat(this.fd, `${pid}/oom_score_adj`, O_WRONLY_CLOEXEC);
    if (fd < 0) return;
    this.host.write(fd, Buffer.from(String(Math.min(OOM_ADJ_MAX, Math.max(wanted, this.ownOomScore + OOM_MARGIN)))));
    this.host.close(fd);
  }
  /** /proc/PID/pagemap from byte `offset` on: bytes, or an errno. */
  pagemap(pid: number, offset: number, into: Uint8Array, count: number): number {
    const fd = this.host.openat(this.fd, `${pid}/pagemap`, O_RDONLY_CLOEXEC);
    if (fd < 0) return fd;
    const n = this.host.pread(fd, into, 0, count, offset);
    this.host.close(fd);
    return n;
  }
  /** /proc/PID/mem, read and write, or an errno. */
  openMemory(pid: number): number {
    return this.host.openat(this.fd, `${pid}/mem`, O_RDONLY_CLOEXEC | 2);
  }
  private read(path: string): string {
    const fd = this.host.openat(this.fd, path, O_RDONLY_CLOEXEC);
    if (fd < 0) return '';
    const n = this.host.read(fd, this.bytes);
    this.host.close(fd);
    return n > 0 ? Buffer.from(this.bytes.subarray(0, n)).toString('latin1') : '';
  }
}
