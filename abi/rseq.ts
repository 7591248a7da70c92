/** Restartable sequences (rseq(2), linux/rseq.h). */
import { i32, len64, struct, u32 } from './struct.ts';

// rseq(2) flags
export const RSEQ_FLAG_UNREGISTER = 1;
/** Of struct rseq, as long as every kernel with the call has known it. */
export const RSEQ_SIZE = 32;

export const Rseq = struct('rseq', RSEQ_SIZE, {
  cpu_id_start: u32,
  cpu_id: i32,
  /** Address of a struct rseq_cs; 0: in no sequence. */
  rseq_cs: len64,
  flags: u32,
  node_id: u32,
  mm_cid: u32,
  __pad: u32,
});
/** struct rseq_cs. Addresses: only those below TASK_SIZE mean anything. */
export const RseqCs = struct('rseq_cs', 32, {
  version: u32,
  flags: u32,
  start_ip: len64,
  post_commit_offset: len64,
  abort_ip: len64,
});
