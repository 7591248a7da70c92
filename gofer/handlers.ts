/** Every request that a client may send, by its type. */
import type { Handler } from './connection.ts';
import { AHEAD_HANDLERS } from './handlers_ahead.ts';
import { DIRECTORY_HANDLERS } from './handlers_directory.ts';
import { EXTENDED_HANDLERS } from './handlers_extended.ts';
import { FILE_HANDLERS } from './handlers_file.ts';
import { SESSION_HANDLERS } from './handlers_session.ts';
import { WALK_HANDLERS } from './handlers_walk.ts';
import { WATCH_HANDLERS } from './handlers_watch.ts';
import { XATTR_HANDLERS } from './handlers_xattr.ts';

export const HANDLERS: Readonly<Record<number, Handler>> = {
  ...SESSION_HANDLERS,
  ...WALK_HANDLERS,
  ...FILE_HANDLERS,
  ...DIRECTORY_HANDLERS,
  ...XATTR_HANDLERS,
  ...EXTENDED_HANDLERS,
  ...AHEAD_HANDLERS,
  ...WATCH_HANDLERS,
};
