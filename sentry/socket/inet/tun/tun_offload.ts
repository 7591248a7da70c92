/** TUNSETOFFLOAD: what the program takes off the stack. Without a virtio-net header it could not be told of it, and nothing is left to it. */
import { EINVAL } from '../../../../abi/errno.ts';
import * as T from '../../../../abi/if_tun.ts';
import { NO_OFFLOAD } from '../../../../netstack/software_offload.ts';
import type { TunDevice } from './tun_device.ts';

const KNOWN = T.TUN_F_CSUM | T.TUN_F_TSO4 | T.TUN_F_TSO6 | T.TUN_F_TSO_ECN;

export function setOffload(tun: TunDevice, flags: number): number {
  // Once accepted, fragments of UDP are asked for in vain on Linux, too.
  const wanted = flags & ~T.TUN_F_UFO;
  const segments = (wanted & (T.TUN_F_TSO4 | T.TUN_F_TSO6)) !== 0;
  if ((wanted & ~KNOWN) !== 0 || ((wanted & T.TUN_F_CSUM) === 0 && wanted !== 0)) return EINVAL;
  if ((wanted & T.TUN_F_TSO_ECN) !== 0 && !segments) return EINVAL;
  tun.offloads = wanted;
  applyOffload(tun);
  return 0;
}
/** After what is exchanged, or who does what, has changed. */
export function applyOffload({ device, offloads, flags }: TunDevice): void {
  if ((flags & T.IFF_VNET_HDR) === 0) device.setOffload(NO_OFFLOAD);
  else {
    const does = (flag: number): boolean => (offloads & flag) !== 0;
    device.setOffload({ checksums: does(T.TUN_F_CSUM), segments4: does(T.TUN_F_TSO4), segments6: does(T.TUN_F_TSO6) });
  }
}
