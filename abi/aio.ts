/** io_submit(2), io_getevents(2): numbers and structs, x86-64. */
import { i64, len64, off64, pad, struct, u16, u32, u64 } from './struct.ts';

export const IOCB_CMD_PREAD = 0;
export const IOCB_CMD_PWRITE = 1;
export const IOCB_CMD_FSYNC = 2;
export const IOCB_CMD_FDSYNC = 3;
export const IOCB_CMD_POLL = 5;
export const IOCB_CMD_PREADV = 7;
export const IOCB_CMD_PWRITEV = 8;
export const IOCB_FLAG_RESFD = 1;

export const Iocb = struct('iocb', 64, {
  aio_data: u64,
  __aio_key: u32,
  aio_rw_flags: u32,
  aio_lio_opcode: u16,
  __aio_reqprio: u16,
  aio_fildes: u32,
  aio_buf: len64,
  aio_nbytes: len64,
  aio_offset: off64,
  __aio_reserved2: pad(8),
  aio_flags: u32,
  aio_resfd: u32,
});
export const IoEvent = struct('io_event', 32, { data: u64, obj: len64, res: i64, res2: i64 });
