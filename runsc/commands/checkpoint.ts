/** checkpoint and restore: what other runtimes take, and why there is nothing to save or to load. */
import { command } from '../cli/command.ts';
import { RuntimeError } from '../container/types.ts';

/** Flags of both; they say how CRIU is to work. */
const CRIU = {
  'image-path': { kind: 'string' },
  'work-path': { kind: 'string' },
  'tcp-established': { kind: 'bool' },
  'ext-unix-sk': { kind: 'bool' },
  'shell-job': { kind: 'bool' },
  'lazy-pages': { kind: 'bool' },
  'file-locks': { kind: 'bool' },
  'manage-cgroups-mode': { kind: 'string' },
  'empty-ns': { kind: 'list' },
  'auto-dedup': { kind: 'bool' },
} as const;

function refuse(what: string): never {
  throw new RuntimeError('Unsupported', `${what} is not supported: the state of a sandbox cannot be saved, and CRIU cannot see into one`);
}

export const checkpoint = command('checkpoint', {
  usage: 'ID',
  summary: 'not supported: says so',
  flags: {
    ...CRIU,
    'parent-path': { kind: 'string' },
    'leave-running': { kind: 'bool' },
    'status-fd': { kind: 'int' },
    'page-server': { kind: 'string' },
    'pre-dump': { kind: 'bool' },
  },
  words: [1, 1],
  run: async ({ containers }, _flags, [id]) => {
    await containers.load(id as string); // that there is none comes first
    refuse('checkpoint');
  },
});

export const restore = command('restore', {
  usage: 'ID',
  summary: 'not supported: says so',
  flags: {
    ...CRIU,
    bundle: { kind: 'string', alias: 'b' },
    'console-socket': { kind: 'string' },
    'pid-file': { kind: 'string' },
    detach: { kind: 'bool', alias: 'd' },
    'no-subreaper': { kind: 'bool' },
    'no-pivot': { kind: 'bool' },
    'lsm-profile': { kind: 'string' },
    'lsm-mount-context': { kind: 'string' },
  },
  words: [1, 1],
  run: () => refuse('restore'),
});
