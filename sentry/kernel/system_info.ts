/** What the sandbox tells applications about the machine: processors, memory, boot. Boot sets it once; limits of the container count. */
import { isErrno } from '../../abi/errno.ts';
import { byteString } from '../../lib/byte_string.ts';
import type { Host } from '../../lib/host.ts';

const SCHED_GETAFFINITY = 204;
const SYSINFO = 99;
/** struct sysinfo: totalram and mem_unit. */
const TOTALRAM_OFFSET = 32;
const MEM_UNIT_OFFSET = 104;
/** Largest /proc/cpuinfo that is looked at. */
const CPUINFO_MAX = 1 << 20;

export interface SystemInfo {
  /** Numbers of the processors shown, ascending: the host's own, which the vDSO and rseq areas tell. */
  readonly cpus: readonly number[];
  /** Numbers of processors are below: programs size their tables by it. */
  readonly possibleCpus: number;
  /** One processor's paragraph of the host's /proc/cpuinfo, "" if it could not be read. */
  readonly processor: string;
  /** Bytes of memory: the container's limit or the machine's. */
  readonly memory: number;
  /** Random; the same as long as the sandbox lives (/proc/sys/kernel/random/boot_id). */
  readonly bootId: string;
}

/** For kernels nobody has told anything. */
export const DEFAULT_SYSTEM: SystemInfo = {
  cpus: [0],
  possibleCpus: 1,
  processor: '',
  memory: 2 ** 31,
  bootId: '00000000-0000-4000-8000-000000000000',
};

/** From the host, while its /proc can still be read. `limits`: the container's processors and memory, absent = the host's. */
export function readSystemInfo(host: Host, limits: { cpus?: number; memory?: number } = {}): SystemInfo {
  const cpus = hostCpus(host).slice(0, Math.max(1, Math.ceil(limits.cpus ?? Number.POSITIVE_INFINITY)));
  const memory = Math.min(hostMemory(host), limits.memory ?? Number.POSITIVE_INFINITY);
  const text = readHostFile(host, '/proc/cpuinfo');
  const possible = /(\d+)\s*$/.exec(readHostFile(host, '/sys/devices/system/cpu/possible'));
  const possibleCpus = Math.max(Number(possible?.[1] ?? 0), ...cpus) + 1;
  return { cpus, possibleCpus, processor: text.split('\n\n')[0] ?? '', memory, bootId: randomUuid(host) };
}

function hostCpus(host: Host): number[] {
  const mask = new Uint8Array(1024);
  const n = host.syscall(SCHED_GETAFFINITY, 0, mask.length, mask);
  const cpus: number[] = [];
  for (let cpu = 0; cpu < n * 8; cpu++) if (((mask[cpu >> 3] as number) & (1 << (cpu & 7))) !== 0) cpus.push(cpu);
  return cpus.length === 0 ? [0] : cpus;
}

function hostMemory(host: Host): number {
  const raw = new Uint8Array(112);
  if (host.syscall(SYSINFO, raw) < 0) return DEFAULT_SYSTEM.memory;
  const view = new DataView(raw.buffer);
  return Number(view.getBigUint64(TOTALRAM_OFFSET, true)) * view.getUint32(MEM_UNIT_OFFSET, true);
}

function readHostFile(host: Host, path: string): string {
  const fd = host.openat(-100, path, 0o2000000 /* O_RDONLY | O_CLOEXEC */);
  if (isErrno(fd)) return '';
  const chunk = new Uint8Array(65536);
  let text = '';
  for (let n = host.read(fd, chunk); n > 0 && text.length < CPUINFO_MAX; n = host.read(fd, chunk)) text += byteString(chunk, 0, n);
  host.close(fd);
  return text;
}

/** A version 4 UUID. */
export function randomUuid(host: Host): string {
  const b = new Uint8Array(16);
  host.getrandom(b);
  b[6] = ((b[6] as number) & 0x0f) | 0x40;
  b[8] = ((b[8] as number) & 0x3f) | 0x80;
  const hex = Buffer.from(b).toString('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}
