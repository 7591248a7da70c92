/** capget(2), capabilities(7): structs, versions, securebits, the file attribute. */
import { i32, struct, u32 } from './struct.ts';

export const _LINUX_CAPABILITY_VERSION_1 = 0x19980330;
export const _LINUX_CAPABILITY_VERSION_2 = 0x20071026;
export const _LINUX_CAPABILITY_VERSION_3 = 0x20080522;
export const CapUserHeader = struct('__user_cap_header_struct', 8, { version: u32, pid: i32 });
/** 32 capabilities; versions 2 and 3 have two of them. */
export const CapUserData = struct('__user_cap_data_struct', 12, { effective: u32, permitted: u32, inheritable: u32 });

// capabilities(7), "The securebits flags"
export const SECBIT_NOROOT = 1;
export const SECBIT_NOROOT_LOCKED = 2;
export const SECBIT_NO_SETUID_FIXUP = 4;
export const SECBIT_NO_SETUID_FIXUP_LOCKED = 8;
export const SECBIT_KEEP_CAPS = 16;
export const SECBIT_KEEP_CAPS_LOCKED = 32;
export const SECBIT_NO_CAP_AMBIENT_RAISE = 64;
export const SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED = 128;
export const SECURE_ALL_BITS = 0x55;
export const SECURE_ALL_LOCKS = 0xaa;

/** The extended attribute that holds a file's capabilities: struct vfs_cap_data, little-endian words. */
export const XATTR_NAME_CAPS = 'security.capability';
export const VFS_CAP_REVISION_MASK = 0xff000000;
export const VFS_CAP_REVISION_1 = 0x01000000;
export const VFS_CAP_REVISION_2 = 0x02000000;
export const VFS_CAP_REVISION_3 = 0x03000000;
export const VFS_CAP_FLAGS_EFFECTIVE = 1;
