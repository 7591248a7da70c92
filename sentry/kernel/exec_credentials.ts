/** What execve(2) makes of credentials: setuid and setgid bits, capabilities (capabilities(7), "Transformation of capabilities during execve()"). */
import { S_ISGID, S_ISUID, S_IXGRP } from '../../abi/stat.ts';
import type { FileDescription } from '../vfs/file.ts';
import { MS_NOSUID } from '../vfs/path.ts';
import type { Credentials } from './credentials.ts';
import type { Task } from './task.ts';

export function execCredentials(task: Task, file: FileDescription): Credentials {
  const { creds } = task;
  const attributes = file.inode?.attributes();
  if (attributes === undefined) return creds;
  const honoured = !creds.noNewPrivs && ((file.path?.mount.flags ?? 0) & MS_NOSUID) === 0;
  const setuid = honoured && (attributes.mode & S_ISUID) !== 0;
  const setgid = honoured && (attributes.mode & (S_ISGID | S_IXGRP)) === (S_ISGID | S_IXGRP);
  const euid = setuid ? attributes.uid : creds.euid;
  const egid = setgid ? attributes.gid : creds.egid;
  const root = euid === 0 || creds.uid === 0;
  const ambient = setuid || setgid ? 0n : creds.caps.ambient;
  const permitted = root ? creds.caps.inheritable | creds.caps.bounding : ambient;
  const effective = euid === 0 ? permitted : ambient;
  return { ...creds, euid, suid: euid, fsuid: euid, egid, sgid: egid, fsgid: egid, caps: { ...creds.caps, permitted, effective, ambient } };
}
