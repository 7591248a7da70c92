/** svipc(7), shmget(2), semget(2), msgget(2), mq_overview(7): numbers and structs, x86-64. */
import { array, i32, i64, len64, pad, struct, u16, u32 } from './struct.ts';

export const IPC_PRIVATE = 0;
export const IPC_CREAT = 0o1000;
export const IPC_EXCL = 0o2000;
export const IPC_NOWAIT = 0o4000;
export const IPC_RMID = 0;
export const IPC_SET = 1;
export const IPC_STAT = 2;
export const IPC_INFO = 3;
/** Older libraries mark the 64-bit structs; there are no others here. */
export const IPC_64 = 0x100;

export const SHM_RDONLY = 0o10000;
export const SHM_RND = 0o20000;
export const SHM_REMAP = 0o40000;
export const SHM_EXEC = 0o100000;
export const SHM_HUGETLB = 0o4000;
export const SHM_LOCK = 11;
export const SHM_UNLOCK = 12;
export const SHM_STAT = 13;
export const SHM_INFO = 14;
export const SHM_STAT_ANY = 15;
export const SHM_DEST = 0o1000;
export const SHM_LOCKED = 0o2000;

export const SEM_UNDO = 0x1000;
export const GETPID = 11;
export const GETVAL = 12;
export const GETALL = 13;
export const GETNCNT = 14;
export const GETZCNT = 15;
export const SETVAL = 16;
export const SETALL = 17;
export const SEM_STAT = 18;
export const SEM_INFO = 19;
export const SEM_STAT_ANY = 20;

export const MSG_NOERROR = 0o10000;
export const MSG_EXCEPT = 0o20000;
export const MSG_COPY = 0o40000;
export const MSG_STAT = 11;
export const MSG_INFO = 12;
export const MSG_STAT_ANY = 13;

export const IpcPerm = struct('ipc64_perm', 48, {
  key: i32,
  uid: u32,
  gid: u32,
  cuid: u32,
  cgid: u32,
  mode: u32,
  seq: u16,
  __pad: pad(6),
  __unused: pad(16, 8),
});
export const ShmidDs = struct('shmid64_ds', 112, {
  shm_perm: IpcPerm,
  shm_segsz: len64,
  shm_atime: i64,
  shm_dtime: i64,
  shm_ctime: i64,
  shm_cpid: i32,
  shm_lpid: i32,
  shm_nattch: len64,
  __unused: pad(16),
});
export const SemidDs = struct('semid64_ds', 104, {
  sem_perm: IpcPerm,
  sem_otime: i64,
  __unused1: pad(8),
  sem_ctime: i64,
  __unused2: pad(8),
  sem_nsems: len64,
  __unused3: pad(16),
});
export const MsqidDs = struct('msqid64_ds', 120, {
  msg_perm: IpcPerm,
  msg_stime: i64,
  msg_rtime: i64,
  msg_ctime: i64,
  msg_cbytes: len64,
  msg_qnum: len64,
  msg_qbytes: len64,
  msg_lspid: i32,
  msg_lrpid: i32,
  __unused: pad(16),
});
export const Shminfo = struct('shminfo64', 72, {
  shmmax: len64,
  shmmin: len64,
  shmmni: len64,
  shmseg: len64,
  shmall: len64,
  __unused: pad(32),
});
export const ShmInfo = struct('shm_info', 48, {
  used_ids: i32,
  __pad: pad(4),
  shm_tot: len64,
  shm_rss: len64,
  shm_swp: len64,
  __swap: pad(16),
});
/** semmap, semmni, semmns, semmnu, semmsl, semopm, semume, semusz, semvmx, semaem. */
export const Seminfo = struct('seminfo', 40, { values: array(i32, 10) });
/** msgpool, msgmap, msgmax, msgmnb, msgmni, msgssz, msgtql, msgseg. */
export const Msginfo = struct('msginfo', 32, { values: array(i32, 7), msgseg: u16, __pad: pad(2) });

/** struct mq_attr (mq_getattr(3)). */
export const MqAttr = struct('mq_attr', 64, {
  mq_flags: len64,
  mq_maxmsg: len64,
  mq_msgsize: len64,
  mq_curmsgs: len64,
  __reserved: pad(32),
});
