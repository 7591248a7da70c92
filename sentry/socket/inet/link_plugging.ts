/** New interfaces of the sandbox's own get a name and a number and become part of a stack. */
import { EEXIST, EINVAL, ENFILE, type Errno } from '../../../abi/errno.ts';
import { IFNAMSIZ } from '../../../abi/if.ts';
import type { NetInterface } from '../../../netstack/interface.ts';
import { randomHardware } from '../../../netstack/link/virtual_link.ts';
import type { Stack } from '../../../netstack/stack.ts';

/** Interfaces of one namespace. */
const MAX_INTERFACES = 256;
export const DEFAULT_MTU = 1500;

export interface Wanted {
  readonly stack: Stack;
  readonly name: string | null;
  readonly mtu: number;
  /** Null: any. */
  readonly hardware: Uint8Array | null;
  readonly up: boolean;
  /** Absent: the next one. */
  readonly index?: number;
}
type MakeInterface<T extends NetInterface> = (stack: Stack, index: number, name: string, mtu: number, hardware: Uint8Array) => T;

export function isFull(stack: Stack): boolean {
  return stack.interfaces.length >= MAX_INTERFACES;
}
/** prefix: of the name, if none is wanted. */
export function plug<T extends NetInterface>(wanted: Wanted, prefix: string, make: MakeInterface<T>): T {
  const { stack } = wanted;
  const index = wanted.index ?? Math.max(...stack.interfaces.map((d) => d.index)) + 1;
  const name = wanted.name ?? freeName(stack, prefix, '');
  const device = make(stack, index, name, wanted.mtu, wanted.hardware ?? randomHardware(stack));
  device.up = false;
  stack.addInterface(device);
  if (wanted.up) device.setUp(true);
  return device;
}

export function validName(name: string): boolean {
  return name !== '' && name.length < IFNAMSIZ && name !== '.' && name !== '..' && !/[\s/:]/.test(name);
}
/** A name, or a template with one %d for the first number that is free. */
export function chooseName(stack: Stack, wanted: string): string | Errno {
  if (!validName(wanted)) return EINVAL;
  if (wanted.includes('%')) {
    const parts = wanted.split('%d');
    if (parts.length !== 2 || parts.some((part) => part.includes('%'))) return EINVAL;
    const name = freeName(stack, parts[0] as string, parts[1] as string);
    return name.length < IFNAMSIZ ? name : ENFILE;
  }
  return stack.interfaces.some((d) => d.name === wanted) ? EEXIST : wanted;
}
function freeName(stack: Stack, prefix: string, suffix: string): string {
  let number = 0;
  while (stack.interfaces.some((d) => d.name === `${prefix}${number}${suffix}`)) number++;
  return `${prefix}${number}${suffix}`;
}
