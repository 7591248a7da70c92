/** Watches: the client hears of what others do to objects that it can reach. */
import { EPROTO } from '../abi/errno.ts';
import { Runwatchx, Rwatchx, Tunwatchx, Twatchx } from '../lib/p9/messages.ts';
import type { Connection, Handler } from './connection.ts';
import { walkPlace } from './place.ts';

function watch(c: Connection): number {
  const m = c.extended ? c.read(Twatchx) : null;
  if (m === null) return EPROTO;
  const place = walkPlace(c, m.fid, m.names);
  if (typeof place === 'number') return place;
  const wd = c.watches.add(place.fd);
  place.release(c.calls);
  if (wd < 0) return wd;
  const notifier = c.watches.share();
  if (notifier >= 0) c.donate(notifier);
  return c.reply(Rwatchx, { wd });
}

function unwatch(c: Connection): number {
  const m = c.extended ? c.read(Tunwatchx) : null;
  if (m === null) return EPROTO;
  const r = c.watches.remove(m.wd);
  return r < 0 ? r : c.reply(Runwatchx, {});
}

export const WATCH_HANDLERS: Readonly<Record<number, Handler>> = {
  [Twatchx.type]: watch,
  [Tunwatchx.type]: unwatch,
};
