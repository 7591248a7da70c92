/** The link-local address that an interface of the sandbox's own gives itself for as long as it is up (RFC 4862 §5.3, RFC 4291 appendix A). */
import { type IpAddress, isLinkLocal6 } from '../address.ts';
import type { AssignedAddress, NetInterface } from '../interface.ts';
import type { Stack } from '../stack.ts';

const LINK_LOCAL_LENGTH = 64;
const PREFIX: IpAddress = `\xfe\x80${'\0'.repeat(6)}`;
const RTPROT_KERNEL = 2;
/** net.ipv6's metric for networks that an address brings along. */
const METRIC = 256;

/** identifier: the last eight bytes. */
function linkLocal(identifier: string): AssignedAddress {
  return { address: PREFIX + identifier, prefixLength: LINK_LOCAL_LENGTH, broadcast: null };
}
/** EUI-64. */
export function identifierOf(hardware: Uint8Array): string {
  const [a, b, c, d, e, f] = hardware as unknown as [number, number, number, number, number, number];
  return String.fromCharCode(a ^ 2, b, c, 0xff, 0xfe, d, e, f);
}
/** Where addresses are not made of hardware's. */
export function randomIdentifier({ environment }: Stack): string {
  return String.fromCharCode(...Array.from({ length: 8 }, () => environment.random(256)));
}

/** It has come up: an address, unless it has one of the kind or IPv6 is switched off, and the way to its network. */
function beginIpv6(stack: Stack, device: NetInterface, identifier: () => string): void {
  if (stack.settings.disablesIpv6) return;
  if (!device.addresses.some((own) => isLinkLocal6(own.address))) device.addAddress(linkLocal(identifier()), true);
  const destination = PREFIX.padEnd(16, '\0');
  const there = stack.routes.entries.some((e) => e.device === device && e.destination === destination);
  if (!there) {
    const route = { destination, prefixLength: LINK_LOCAL_LENGTH, gateway: null, source: null, device, metric: METRIC };
    stack.routes.add({ ...route, protocol: RTPROT_KERNEL });
  }
}
/** It has gone down: IPv6's addresses and what they brought along. */
function endIpv6(stack: Stack, device: NetInterface): void {
  for (const { address } of device.addresses) if (address.length === 16) device.removeAddress(address);
  const own = stack.routes.entries.filter((e) => e.device === device && e.destination.length === 16 && e.protocol === RTPROT_KERNEL);
  for (const entry of own) stack.routes.remove(entry);
}

/** After its link has come up or gone down. identifier: for the last eight bytes of an address. */
export function followLink(stack: Stack, device: NetInterface, identifier: () => string): void {
  if (!device.up) endIpv6(stack, device);
  else if (device.carrier) beginIpv6(stack, device, identifier);
  stack.onChange();
}
