/** Which frames the program behind a TAP interface wants: by address (TUNSETTXFILTER) and by a program of classic BPF (TUNATTACHFILTER). */
import { EINVAL, type Errno, isErrno } from '../../../../abi/errno.ts';
import { TUN_FLT_ALLMULTI, TunFilter } from '../../../../abi/if_tun.ts';
import { PACKET_OUTGOING } from '../../../../netstack/frame_taps.ts';
import type { NetInterface } from '../../../../netstack/interface.ts';
import { ETH_HEADER, VNET_HEADER } from '../../../../netstack/link/ethernet.ts';
import { type FilterInstruction, runFilter } from '../../../../netstack/packet_filter.ts';
import type { Task } from '../../../kernel/task.ts';
import { readFilter } from '../socket_filter.ts';

/** struct sock_fprog. */
const PROGRAM_SIZE = 16;
/** Addresses that one list may hold, and those among them that need not be groups. */
const MAX_ADDRESSES = 1024;
const MAX_EXACT = 8;

export class FrameFilter {
  /** Hardware addresses as text; null: all. */
  private readonly wanted: ReadonlySet<string> | null;
  private readonly allGroups: boolean;
  private readonly program: readonly FilterInstruction[] | null;
  /** struct sock_fprog as it was given; TUNGETFILTER tells it. */
  readonly given: Uint8Array;

  constructor(wanted: ReadonlySet<string> | null, allGroups: boolean, program: readonly FilterInstruction[] | null, given: Uint8Array) {
    this.wanted = wanted;
    this.allGroups = allGroups;
    this.program = program;
    this.given = given;
  }
  get hasProgram(): boolean {
    return this.program !== null;
  }
  withProgram(program: readonly FilterInstruction[] | null, given: Uint8Array): FrameFilter {
    return new FrameFilter(this.wanted, this.allGroups, program, given);
  }
  withAddresses(wanted: ReadonlySet<string> | null, allGroups: boolean): FrameFilter {
    return new FrameFilter(wanted, allGroups, this.program, this.given);
  }
  /** With its virtio-net header. */
  accepts(bytes: Uint8Array, device: NetInterface): boolean {
    if (this.wanted !== null && !this.wants(bytes, this.wanted)) return false;
    if (this.program === null) return true;
    const [start, network] = [VNET_HEADER, VNET_HEADER + ETH_HEADER];
    const protocol = ((bytes[network - 2] as number) << 8) | (bytes[network - 1] as number);
    const packet = { bytes, start, end: bytes.length, link: start, network, protocol, device: device.index, kind: PACKET_OUTGOING };
    return runFilter(this.program, packet) > 0;
  }
  private wants(bytes: Uint8Array, wanted: ReadonlySet<string>): boolean {
    if (this.allGroups && ((bytes[VNET_HEADER] as number) & 1) !== 0) return true;
    return wanted.has(addressText(bytes, VNET_HEADER));
  }
}
export const ACCEPT_ALL = new FrameFilter(null, false, null, new Uint8Array(PROGRAM_SIZE));

function addressText(bytes: Uint8Array, at: number): string {
  return String.fromCharCode(...bytes.subarray(at, at + 6));
}

/** TUNATTACHFILTER. */
export function attachProgram(task: Task, before: FrameFilter, address: number): FrameFilter | Errno {
  const given = task.readBytes(address, PROGRAM_SIZE);
  if (isErrno(given)) return given;
  const program = readFilter(task, given);
  return isErrno(program) ? program : before.withProgram(program, given);
}
/** TUNSETTXFILTER. `exact`: how many of the addresses count one by one, as the call returns it. */
export function addressFilter(task: Task, before: FrameFilter, address: number): { filter: FrameFilter; exact: number } | Errno {
  const head = task.readBytes(address, TunFilter.size);
  if (isErrno(head)) return head;
  const { flags, count } = TunFilter.decode(head);
  if (count === 0) return { filter: before.withAddresses(null, false), exact: 0 };
  if (count > MAX_ADDRESSES) return EINVAL;
  const list = task.readBytes(address + TunFilter.size, count * 6);
  if (isErrno(list)) return list;
  const exact = Math.min(count, MAX_EXACT);
  const wanted = new Set<string>();
  for (let i = 0; i < count; i++) {
    if (i >= exact && ((list[i * 6] as number) & 1) === 0) return EINVAL;
    wanted.add(addressText(list, i * 6));
  }
  return { filter: before.withAddresses(wanted, (flags & TUN_FLT_ALLMULTI) !== 0), exact };
}
