/** What the addon and the kernel thread share: struct shared and struct slot of native-addon/src/kvm_run.h. */

export const MAX_THREADS = 8192;
export const RING_SIZE = 2 * MAX_THREADS;

// struct shared, in 32-bit words.
/** Events that were ever posted; and taken, which we write. */
export const W_HEAD = 0;
export const W_TAIL = 1;
/** A copy of ours went beyond what applications may have; we clear it. */
export const W_SHORT = 3;
export const W_RING = 1024;
export const W_SLOTS = W_RING + RING_SIZE;
export const SLOT_WORDS = 64;

// struct slot, in 32-bit words.
export const S_KIND = 0;
export const S_SIGNAL = 1;
export const S_CODE = 2;
export const S_VCPU = 3;
export const S_ADDRESS = 4;
/** Of a call; of a loss; the error code of a fault. */
export const S_NUMBER = 6;
export const S_VECTOR = 7;
export const S_REGISTERS = 8;

// enum kind
export const KIND_CALL = 1;
export const KIND_FAULT = 2;
export const KIND_INTERRUPT = 3;
export const KIND_LOST = 4;
export const KIND_SHORT = 5;

// kvmCopy
export const COPY_WRITE = 1;
export const COPY_FORCED = 2;

/** enum loss: why the guest was left in a way that no application can cause by itself, for the log. */
export const LOSSES = [
  '?',
  'the processor shut down',
  'the host refuses the registers',
  'the host failed to emulate',
  'an exception in ring 0',
  'an unexpected exit',
  'no memory, or more mapped files in use at once than there is room for (docs/performance.md)',
  'the host refuses a call',
  'a page fault without a reason',
];
