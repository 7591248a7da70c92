/** What a stack has counted, by the names of /proc/net/snmp and netstat (RFC 1213, RFC 4022). */
export class Counters {
  readonly ip = {
    ...{ InReceives: 0, InHdrErrors: 0, InAddrErrors: 0, ForwDatagrams: 0, InUnknownProtos: 0, InDiscards: 0, InDelivers: 0 },
    ...{ OutRequests: 0, OutDiscards: 0, OutNoRoutes: 0, ReasmTimeout: 0, ReasmReqds: 0, ReasmOKs: 0, ReasmFails: 0 },
    ...{ FragOKs: 0, FragFails: 0, FragCreates: 0 },
  };
  readonly icmp = { InMsgs: 0, InErrors: 0, InEchos: 0, InEchoReps: 0, InDestUnreachs: 0, OutMsgs: 0, OutEchoReps: 0, OutDestUnreachs: 0 };
  readonly tcp = {
    ...{ ActiveOpens: 0, PassiveOpens: 0, AttemptFails: 0, EstabResets: 0, InSegs: 0, OutSegs: 0, RetransSegs: 0, InErrs: 0, OutRsts: 0 },
  };
  readonly udp = { InDatagrams: 0, NoPorts: 0, InErrors: 0, OutDatagrams: 0, RcvbufErrors: 0, SndbufErrors: 0, InCsumErrors: 0 };
  readonly tcpExt = {
    ...{ SyncookiesSent: 0, SyncookiesRecv: 0, SyncookiesFailed: 0, ListenOverflows: 0, ListenDrops: 0, TCPTimeouts: 0, TCPLossProbes: 0 },
    ...{ TCPSackRecovery: 0, TCPRenoRecovery: 0, TCPFastRetrans: 0, PAWSEstab: 0, TCPChallengeACK: 0, TCPDSACKRecv: 0, TCPOFOQueue: 0 },
    ...{ TW: 0, DelayedACKs: 0, TCPAbortOnData: 0, TCPAbortOnTimeout: 0, TCPReqQFullDoCookies: 0, TCPTimeWaitOverflow: 0 },
  };
}
