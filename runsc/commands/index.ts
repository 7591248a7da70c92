/** The commands by name. */
import type { Command } from '../cli/command.ts';
import { checkpoint, restore } from './checkpoint.ts';
import { features, spec, update, version } from './config.ts';
import { doCommand } from './do.ts';
import { doctor } from './doctor.ts';
import { exec } from './exec.ts';
import { debug, events, list, ps, state, wait } from './inspect.ts';
import { install, uninstall } from './install.ts';
import { create, kill, pause, remove, resume, start } from './lifecycle.ts';
import { portForward } from './port_forward.ts';
import { run } from './run.ts';

export const COMMANDS: Readonly<Record<string, Command>> = {
  create,
  start,
  run,
  kill,
  delete: remove,
  pause,
  resume,
  state,
  list,
  ps,
  events,
  wait,
  debug,
  exec,
  update,
  checkpoint,
  restore,
  spec,
  features,
  'port-forward': portForward,
  do: doCommand,
  install,
  uninstall,
  doctor,
  version,
};
