import { E2BIG, EACCES, EAGAIN, EEXIST, EFBIG, EIDRM, EINTR, EINVAL, ENOENT, ENOMSG, EPERM, ERANGE } from '../../abi/errno.ts';
import * as I from '../../abi/ipc.ts';
import { POLLIN } from '../../abi/poll.ts';
import { rootCredentials } from '../kernel/credentials.ts';
import { FileMachine, type FileUser } from '../testing/fake_files.ts';

function user(): FileUser {
  return new FileMachine().user();
}
function nobody(u: FileUser): FileUser {
  const ids = { uid: 1, euid: 1, suid: 1, fsuid: 1, gid: 1, egid: 1, sgid: 1, fsgid: 1 };
  return u.machine.user({ ...rootCredentials(0n), ...ids });
}
function sembufs(...ops: readonly (readonly [number, number, number])[]): Uint8Array {
  return new Uint8Array(Int16Array.from(ops.flat()).buffer);
}
function semop(u: FileUser, id: number, ...ops: readonly (readonly [number, number, number])[]): number | null {
  return u.try('semop', id, sembufs(...ops), ops.length);
}

test('keys and identifiers', () => {
  const u = user();
  expect(u.call('semget', 5, 1, 0)).toBe(ENOENT);
  const id = u.call('semget', 5, 2, I.IPC_CREAT | 0o600);
  expect(u.call('semget', 5, 0, 0)).toBe(id);
  expect(u.call('semget', 5, 3, 0)).toBe(EINVAL);
  expect(u.call('semget', 5, 2, I.IPC_CREAT | I.IPC_EXCL)).toBe(EEXIST);
  expect(u.call('semget', 0, 1, 0)).not.toBe(id);
  const other = nobody(u);
  expect(other.call('semget', 5, 0, 0o600)).toBe(EACCES);
  expect(other.call('semctl', id, 0, I.IPC_RMID, 0)).toBe(EPERM);
  expect(u.call('semctl', id, 0, I.IPC_RMID, 0)).toBe(0);
  expect(u.call('semctl', id, 0, I.GETVAL, 0)).toBe(EINVAL);
});

test('semop is all or nothing, waits, and counts who waits', () => {
  const u = user();
  const id = u.call('semget', 0, 2, 0o600);
  const other = u.machine.user();
  expect(semop(u, id, [0, 1, 0], [1, -1, I.IPC_NOWAIT])).toBe(EAGAIN);
  expect(u.call('semctl', id, 0, I.GETVAL, 0)).toBe(0);
  expect(semop(u, id, [2, 1, 0])).toBe(EFBIG);
  expect(semop(other, id, [0, -2, 0], [1, 1, 0])).toBeNull();
  expect(u.call('semctl', id, 0, I.GETNCNT, 0)).toBe(1);
  semop(u, id, [0, 1, 0]);
  expect(u.machine.result(other.task)).toBeNull();
  semop(u, id, [0, 1, 0]);
  expect(u.machine.result(other.task)).toBe(0);
  const all = u.memory.place(4);
  expect(u.call('semctl', id, 0, I.GETALL, all)).toBe(0);
  expect([...u.memory.slice(all, 4)]).toEqual([0, 0, 1, 0]);
  expect(u.call('semctl', id, 1, I.GETPID, 0)).toBe(other.task.pid);
  expect(u.call('semctl', id, 0, I.SETVAL, 40_000)).toBe(ERANGE);
  expect(semop(other, id, [1, 0, 0])).toBeNull();
  other.task.blocked?.notify('signal');
  expect(u.machine.result(other.task)).toBe(EINTR);
  expect(semop(other, id, [1, 0, 0])).toBeNull();
  u.call('semctl', id, 0, I.IPC_RMID, 0);
  expect(u.machine.result(other.task)).toBe(EIDRM);
});

test('SEM_UNDO when the process ends', () => {
  const u = user();
  const id = u.call('semget', 0, 1, 0o600);
  u.call('semctl', id, 0, I.SETVAL, 3);
  const other = u.machine.user();
  semop(other, id, [0, -2, I.SEM_UNDO]);
  expect(u.call('semctl', id, 0, I.GETVAL, 0)).toBe(1);
  other.task.group.exitEvents.notify(POLLIN);
  expect(u.call('semctl', id, 0, I.GETVAL, 0)).toBe(3);
});

test('messages by type, limits, waiting', () => {
  const u = user();
  const id = u.call('msgget', 0, 0o600);
  const send = (who: FileUser, type: number, text: string, flags = I.IPC_NOWAIT): number | null => {
    const raw = Buffer.alloc(8 + text.length);
    raw.writeUInt32LE(type, 0);
    raw.write(text, 8);
    return who.try('msgsnd', id, raw, text.length, flags);
  };
  const room = u.memory.place(9000);
  const receive = (type: number, flags = I.IPC_NOWAIT, size = 100): string | number => {
    const n = u.call('msgrcv', id, room, size, type < 0 ? 2 ** 64 + type : type, flags);
    return n < 0 ? n : `${u.memory.u32(room)}:${Buffer.from(u.memory.slice(room + 8, n)).toString()}`;
  };
  for (const [type, text] of [
    [3, 'c'],
    [1, 'a'],
    [2, 'b'],
    [1, 'aa'],
  ] as const)
    expect(send(u, type, text)).toBe(0);
  expect(receive(2)).toBe('2:b');
  expect(receive(3, I.IPC_NOWAIT | I.MSG_EXCEPT)).toBe('1:a');
  expect(receive(0, I.IPC_NOWAIT | I.MSG_COPY)).toBe('3:c');
  expect(receive(0, I.IPC_NOWAIT, 0)).toBe(E2BIG);
  expect(receive(0)).toBe('3:c');
  expect(receive(0, I.IPC_NOWAIT | I.MSG_NOERROR, 1)).toBe('1:a');
  expect(receive(0)).toBe(ENOMSG);
  expect(send(u, 0, 'x')).toBe(EINVAL);
  for (let i = 0; i < 2; i++) expect(send(u, 1, 'x'.repeat(8192))).toBe(0);
  expect(send(u, 1, 'y')).toBe(EAGAIN);
  const other = u.machine.user();
  expect(send(other, 1, 'y', 0)).toBeNull();
  expect(receive(0, 0, 8192)).toHaveLength(8194);
  expect(u.machine.result(other.task)).toBe(0);
});

test('a shared segment: size, permissions, removal', () => {
  const u = user();
  const id = u.call('shmget', 7, 5000, I.IPC_CREAT | 0o600);
  expect(u.call('shmget', 7, 5001, 0)).toBe(EINVAL);
  expect(u.call('shmget', 0, 0, 0o600)).toBe(EINVAL);
  const at = u.memory.place(112);
  expect(u.call('shmctl', id, I.IPC_STAT, at)).toBe(0);
  const info = I.ShmidDs.decode(u.memory.slice(at, 112));
  expect(info).toMatchObject({ shm_segsz: 5000, shm_nattch: 0, shm_cpid: u.task.pid });
  expect(info.shm_perm).toMatchObject({ key: 7, mode: 0o600 });
  const segment = u.task.namespaces.ipc.shm.get(id) as Exclude<ReturnType<typeof u.task.namespaces.ipc.shm.get>, number>;
  const file = segment.open(false) as Exclude<ReturnType<typeof segment.open>, number>;
  const readOnly = segment.open(true) as typeof file;
  expect(segment.attached).toBe(2);
  expect(u.call('shmctl', id, I.IPC_RMID, 0)).toBe(0);
  expect(u.call('shmget', 7, 1, 0)).toBe(ENOENT);
  file.release();
  expect(u.call('shmctl', id, I.IPC_STAT, at)).toBe(0);
  expect(I.ShmidDs.decode(u.memory.slice(at, 112)).shm_perm.mode).toBe(0o1600);
  readOnly.release();
  expect(u.call('shmctl', id, I.IPC_STAT, at)).toBe(EINVAL);
});
