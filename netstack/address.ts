/** IP addresses as byte strings of 4 or 16 characters, one a byte: compared with ===, usable as map keys. */
export type IpAddress = string;

export const ANY4: IpAddress = '\0\0\0\0';
export const ANY6: IpAddress = '\0'.repeat(16);
export const LOOPBACK4: IpAddress = '\x7f\0\0\x01';
export const LOOPBACK6: IpAddress = `${'\0'.repeat(15)}\x01`;
export const BROADCAST4: IpAddress = '\xff\xff\xff\xff';

/** length: 4 or 16. */
export function readAddress(bytes: Uint8Array, at: number, length: number): IpAddress {
  let text = '';
  for (let i = at; i < at + length; i++) text += String.fromCharCode(bytes[i] as number);
  return text;
}
export function writeAddress(into: Uint8Array, at: number, address: IpAddress): void {
  for (let i = 0; i < address.length; i++) into[at + i] = address.charCodeAt(i);
}
export function addressBytes(address: IpAddress): Uint8Array {
  const bytes = new Uint8Array(address.length);
  writeAddress(bytes, 0, address);
  return bytes;
}

export function isV4(address: IpAddress): boolean {
  return address.length === 4;
}
export function isAny(address: IpAddress): boolean {
  return address === ANY4 || address === ANY6;
}
/** The unspecified address of the same family. */
export function anyLike(address: IpAddress): IpAddress {
  return address.length === 4 ? ANY4 : ANY6;
}
export function isLoopback(address: IpAddress): boolean {
  return address.length === 4 ? address.charCodeAt(0) === 127 : address === LOOPBACK6;
}
export function isMulticast(address: IpAddress): boolean {
  return address.length === 4 ? (address.charCodeAt(0) & 0xf0) === 0xe0 : address.charCodeAt(0) === 0xff;
}
/** fe80::/10. */
export function isLinkLocal6(address: IpAddress): boolean {
  return address.length === 16 && address.charCodeAt(0) === 0xfe && (address.charCodeAt(1) & 0xc0) === 0x80;
}

/** Do the first `length` bits agree? Addresses of different families never do. */
export function samePrefix(a: IpAddress, b: IpAddress, length: number): boolean {
  if (a.length !== b.length) return false;
  const whole = length >> 3;
  for (let i = 0; i < whole; i++) if (a.charCodeAt(i) !== b.charCodeAt(i)) return false;
  const rest = length & 7;
  return rest === 0 || ((a.charCodeAt(whole) ^ b.charCodeAt(whole)) & (0xff00 >> rest) & 0xff) === 0;
}

/** The last address of an IPv4 network. */
export function broadcastOf(address: IpAddress, length: number): IpAddress {
  const mask = length === 0 ? 0xffff_ffff : length === 32 ? 0 : 0xffff_ffff >>> length;
  let text = '';
  for (let i = 0; i < 4; i++) text += String.fromCharCode(address.charCodeAt(i) | ((mask >>> (24 - 8 * i)) & 0xff));
  return text;
}

/** Dotted, or eight groups of hexadecimal digits without abbreviation: for messages. */
export function formatAddress(address: IpAddress): string {
  if (address.length === 4) return [...address].map((c) => c.charCodeAt(0)).join('.');
  const groups: string[] = [];
  for (let i = 0; i < 16; i += 2) groups.push(((address.charCodeAt(i) << 8) | address.charCodeAt(i + 1)).toString(16));
  return groups.join(':');
}
