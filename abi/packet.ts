/** packet(7): AF_PACKET sockets, x86-64. */
import { be16, i32, pad, struct, u8, u16, u32 } from './struct.ts';

export const SOL_PACKET = 263;
export const PACKET_ADD_MEMBERSHIP = 1;
export const PACKET_DROP_MEMBERSHIP = 2;
export const PACKET_RECV_OUTPUT = 3;
export const PACKET_RX_RING = 5;
export const PACKET_STATISTICS = 6;
export const PACKET_COPY_THRESH = 7;
export const PACKET_AUXDATA = 8;
export const PACKET_ORIGDEV = 9;
export const PACKET_VERSION = 10;
export const PACKET_HDRLEN = 11;
export const PACKET_RESERVE = 12;
export const PACKET_TX_RING = 13;
export const PACKET_LOSS = 14;
export const PACKET_VNET_HDR = 15;
export const PACKET_TIMESTAMP = 17;
export const PACKET_FANOUT = 18;
export const PACKET_QDISC_BYPASS = 20;
export const PACKET_IGNORE_OUTGOING = 23;

/** PACKET_ADD_MEMBERSHIP: struct packet_mreq.mr_type. */
export const PACKET_MR_MULTICAST = 0;
export const PACKET_MR_PROMISC = 1;
export const PACKET_MR_ALLMULTI = 2;
export const PACKET_MR_UNICAST = 3;

/** PACKET_VERSION. */
export const TPACKET_V1 = 0;
export const TPACKET_V2 = 1;
export const TPACKET_V3 = 2;
// tp_status
export const TP_STATUS_KERNEL = 0;
export const TP_STATUS_USER = 1;
export const TP_STATUS_LOSING = 4;
export const TP_STATUS_CSUMNOTREADY = 8;
export const TPACKET_ALIGNMENT = 16;

export const SockaddrLl = struct('sockaddr_ll', 20, {
  sll_family: u16,
  sll_protocol: be16,
  sll_ifindex: i32,
  sll_hatype: u16,
  sll_pkttype: u8,
  sll_halen: u8,
  sll_addr_high: u32,
  sll_addr_low: u32,
});
export const SOCKADDR_LL_MIN = 12;
export const Tpacket2Hdr = struct('tpacket2_hdr', 32, {
  tp_status: u32,
  tp_len: u32,
  tp_snaplen: u32,
  tp_mac: u16,
  tp_net: u16,
  tp_sec: u32,
  tp_nsec: u32,
  tp_vlan_tci: u16,
  tp_vlan_tpid: u16,
  __pad: pad(4),
});
export const TpacketReq = struct('tpacket_req', 16, { tp_block_size: u32, tp_block_nr: u32, tp_frame_size: u32, tp_frame_nr: u32 });
export const TpacketAuxdata = struct('tpacket_auxdata', 20, {
  tp_status: u32,
  tp_len: u32,
  tp_snaplen: u32,
  tp_mac: u16,
  tp_net: u16,
  tp_vlan_tci: u16,
  tp_vlan_tpid: u16,
});
