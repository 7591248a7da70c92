/** setxattr(2), xattr(7): flags and limits. */
export const XATTR_CREATE = 1;
export const XATTR_REPLACE = 2;
/** Longest name without NUL, largest value, largest list of names. */
export const XATTR_NAME_MAX = 255;
export const XATTR_SIZE_MAX = 65536;
export const XATTR_LIST_MAX = 65536;
