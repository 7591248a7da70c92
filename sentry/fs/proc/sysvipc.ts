/** /proc/sysvipc: the objects of the reader's IPC namespace (ipcs(1) reads them). */
import type { IpcObject } from '../../ipc/ipc_object.ts';
import { MSGMAX, MSGMNB, MSGMNI } from '../../ipc/msg.ts';
import { SEMMNI, SEMMNS, SEMMSL, SEMOPM } from '../../ipc/sem.ts';
import { SHMMAX, SHMMNI } from '../../ipc/shm.ts';
import type { Task } from '../../kernel/task.ts';
import type { ThreadGroup } from '../../kernel/thread_group.ts';

/** Where the limits show in /proc/sys/kernel. */
export const IPC_LIMITS = { msgmax: MSGMAX, msgmnb: MSGMNB, msgmni: MSGMNI, shmmax: SHMMAX, shmmni: SHMMNI } as const;
export const SEM_LIMITS = `${SEMMSL}\t${SEMMNS}\t${SEMOPM}\t${SEMMNI}`;

/** A line: values padded on the left to their columns, blanks between. */
function row(cells: readonly (readonly [value: number | string, width: number])[]): string {
  return `${cells.map(([value, width]) => String(value).padStart(width)).join(' ')}\n`;
}

function owner(o: IpcObject): (readonly [number, number])[] {
  return [o.uid, o.gid, o.cuid, o.cgid].map((id) => [id, 5] as const);
}

function start(o: IpcObject, mode: number): (readonly [number | string, number])[] {
  return [
    [o.key | 0, 10],
    [o.id, 10],
    [mode.toString(8), 5],
  ];
}

function pidOf(process: ThreadGroup | null, reader: Task): number {
  return process?.idIn(reader.pidNamespace) ?? 0;
}

export function shmText(reader: Task): string {
  let text =
    '       key      shmid perms                  size  cpid  lpid nattch   uid   gid  cuid  cgid      atime      dtime      ctime' +
    '                   rss                  swap\n';
  for (const s of reader.namespaces.ipc.shm.objects()) {
    text += row([
      ...start(s, s.modeWithFlags),
      [s.size, 21],
      [pidOf(s.creator, reader), 5],
      [pidOf(s.lastProcess, reader), 5],
      [s.attached, 6],
      ...owner(s),
      [s.attachTime, 10],
      [s.detachTime, 10],
      [s.changeTime, 10],
      [0, 21],
      [0, 21],
    ]);
  }
  return text;
}

export function semText(reader: Task): string {
  let text = '       key      semid perms      nsems   uid   gid  cuid  cgid      otime      ctime\n';
  for (const s of reader.namespaces.ipc.sem.objects()) {
    text += row([...start(s, s.mode), [s.count, 10], ...owner(s), [s.operationTime, 10], [s.changeTime, 10]]);
  }
  return text;
}

export function msgText(reader: Task): string {
  let text = '       key      msqid perms      cbytes       qnum lspid lrpid   uid   gid  cuid  cgid      stime      rtime      ctime\n';
  for (const q of reader.namespaces.ipc.msg.objects()) {
    text += row([
      ...start(q, q.mode),
      [q.bytes, 11],
      [q.messages.length, 10],
      [pidOf(q.lastSender, reader), 5],
      [pidOf(q.lastReceiver, reader), 5],
      ...owner(q),
      [q.sendTime, 10],
      [q.receiveTime, 10],
      [q.changeTime, 10],
    ]);
  }
  return text;
}
