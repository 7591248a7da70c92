/** Entries of the two families: struct ipt_entry (linux/netfilter_ipv4/ip_tables.h) and ip6t_entry (linux/netfilter_ipv6/ip6_tables.h). */

/** Where the fields lie, bytes from the entry's begin. */
export interface EntryLayout {
  readonly version: 4 | 6;
  /** Of an address. */
  readonly addressSize: 4 | 16;
  readonly source: number;
  readonly destination: number;
  readonly sourceMask: number;
  readonly destinationMask: number;
  readonly inputName: number;
  readonly outputName: number;
  readonly inputMask: number;
  readonly outputMask: number;
  readonly protocol: number;
  readonly flags: number;
  readonly inverted: number;
  /** Bits of flags: the rule goes and does not come back; the protocol counts (0: wherever it is not zero); only later fragments. */
  readonly gotoFlag: number;
  readonly protocolFlag: number;
  readonly fragmentFlag: number;
  readonly target: number;
  readonly next: number;
  readonly counters: number;
  /** Without matches and target. */
  readonly size: number;
}

export const ENTRY4: EntryLayout = {
  version: 4,
  addressSize: 4,
  ...{ source: 0, destination: 4, sourceMask: 8, destinationMask: 12 },
  ...{ inputName: 16, outputName: 32, inputMask: 48, outputMask: 64 },
  ...{ protocol: 80, flags: 82, inverted: 83, gotoFlag: 2, protocolFlag: 0, fragmentFlag: 1 },
  ...{ target: 88, next: 90, counters: 96, size: 112 },
};
export const ENTRY6: EntryLayout = {
  version: 6,
  addressSize: 16,
  ...{ source: 0, destination: 16, sourceMask: 32, destinationMask: 48 },
  ...{ inputName: 64, outputName: 80, inputMask: 96, outputMask: 112 },
  ...{ protocol: 128, flags: 131, inverted: 132, gotoFlag: 4, protocolFlag: 1, fragmentFlag: 0 },
  ...{ target: 140, next: 142, counters: 152, size: 168 },
};
