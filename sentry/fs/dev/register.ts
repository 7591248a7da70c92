/** The character devices that every sandbox has. */
import { EIO, ENODEV, ENXIO, type Errno } from '../../../abi/errno.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import { controllingTerminal } from '../../kernel/session.ts';
import { PTS_MAJOR, Terminal } from '../../tty/terminal.ts';
import { ALL_MINORS } from '../../vfs/device.ts';
import type { FileImpl } from '../../vfs/file.ts';
import type { OpenContext } from '../../vfs/inode.ts';
import { type DevptsFilesystem, findDevptsMount, openSlave, PTMX_MINOR, PtsInode, TTYAUX_MAJOR } from '../devpts/devpts.ts';
import { MEM_MAJOR, openMemoryDevice } from './mem_devices.ts';

export const TTY_MINOR = 0;
export const CONSOLE_MINOR = 1;

/** Call once, before the first container starts. */
export function registerDevices(kernel: Kernel): void {
  const { devices, host } = kernel;
  devices.registerCharacter({
    name: 'mem',
    major: MEM_MAJOR,
    firstMinor: 0,
    minors: 256,
    open: (_flags, _context, minor) => openMemoryDevice(host, minor),
  });
  devices.registerCharacter({ name: '/dev/tty', major: TTYAUX_MAJOR, firstMinor: TTY_MINOR, minors: 1, open: openOwnTerminal });
  devices.registerCharacter({ name: '/dev/console', major: TTYAUX_MAJOR, firstMinor: CONSOLE_MINOR, minors: 1, open: openConsole });
  devices.registerCharacter({ name: '/dev/ptmx', major: TTYAUX_MAJOR, firstMinor: PTMX_MINOR, minors: 1, open: openPtmx });
  devices.registerCharacter({ name: 'pts', major: PTS_MAJOR, firstMinor: 0, minors: ALL_MINORS, open: openPts });
}

/** tty(4): whatever the controlling terminal is. */
function openOwnTerminal(flags: number, context: OpenContext): FileImpl | Errno {
  const { task } = context;
  const terminal = task === null ? null : controllingTerminal(task.group);
  return terminal instanceof Terminal ? openSlave(terminal, flags, null) : ENXIO;
}

/** The terminal that the container was started with. */
function openConsole(flags: number, context: OpenContext): FileImpl | Errno {
  const terminal = context.task?.group.container.console;
  return terminal instanceof Terminal ? openSlave(terminal, flags, context.task) : EIO;
}

/** A node 5:2 outside of devpts belongs to the devpts that is mounted on "pts" beside it. */
function openPtmx(_flags: number, context: OpenContext): FileImpl | Errno {
  const parent = context.path.dentry.parent;
  const beside = findDevptsMount(context.task, (m) => m.mountpoint?.name === 'pts' && m.mountpoint.parent === parent);
  const mount = beside ?? findDevptsMount(context.task, () => true);
  return mount === null ? ENODEV : (mount.fs as DevptsFilesystem).openMaster(context, mount);
}

/** A slave's number means something within devpts alone. */
function openPts(flags: number, context: OpenContext): FileImpl | Errno {
  const { inode } = context.path.dentry;
  return inode instanceof PtsInode ? inode.open(flags, context) : EIO;
}
