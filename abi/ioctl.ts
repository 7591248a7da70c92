/** ioctl(2): requests that are not one device's alone, x86-64. */
export const FIONREAD = 0x541b;
export const FIONBIO = 0x5421;
export const FIOASYNC = 0x5452;
export const FIONCLEX = 0x5450;
export const FIOCLEX = 0x5451;
export const FIOQSIZE = 0x5460;
/** Block size of the file's filesystem. */
export const FIGETBSZ = 2;
export const FICLONE = 0x40049409;
export const FICLONERANGE = 0x4020940d;
