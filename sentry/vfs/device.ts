/** Device numbers and who answers for them: what opening a character or block device node, on whatever filesystem, leads to. */
import { ENXIO, type Errno } from '../../abi/errno.ts';
import { major, minor, S_IFBLK, S_IFMT } from '../../abi/stat.ts';
import type { FileImpl } from './file.ts';
import type { OpenContext } from './inode.ts';

/** Opens minor number `minor` of the driver's range. flags: O_* as given. */
export type OpenDevice = (flags: number, context: OpenContext, minor: number) => FileImpl | Errno;

export interface Driver {
  /** As in /proc/devices. */
  readonly name: string;
  readonly major: number;
  readonly firstMinor: number;
  readonly minors: number;
  readonly open: OpenDevice;
}

/** All minors of a major (20 bits). */
export const ALL_MINORS = 1 << 20;

export class DeviceRegistry {
  private readonly character = new Map<number, Driver[]>();

  /** Ranges of one major must not overlap. */
  registerCharacter(driver: Driver): void {
    const drivers = this.character.get(driver.major);
    if (drivers === undefined) this.character.set(driver.major, [driver]);
    else drivers.push(driver);
  }

  /** mode: of the node, with its type; rdev: its number (makedev). ENXIO: nobody answers. */
  open(mode: number, rdev: number, flags: number, context: OpenContext): FileImpl | Errno {
    if ((mode & S_IFMT) === S_IFBLK) return ENXIO;
    const number = minor(rdev);
    for (const driver of this.character.get(major(rdev)) ?? []) {
      if (number >= driver.firstMinor && number < driver.firstMinor + driver.minors) return driver.open(flags, context, number);
    }
    return ENXIO;
  }

  /** Every driver, by major number. */
  *drivers(): Generator<Driver> {
    for (const number of [...this.character.keys()].sort((a, b) => a - b)) yield* this.character.get(number) as Driver[];
  }
}
