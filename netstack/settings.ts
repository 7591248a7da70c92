/** The knobs of /proc/sys/net that change what a stack does. Read where they count; what nobody has written has Linux's value. */

export class Settings {
  private readonly lookUp: (path: string) => string | undefined;
  constructor(lookUp: (path: string) => string | undefined) {
    this.lookUp = lookUp;
  }
  private number(path: string, otherwise: number): number {
    const text = this.lookUp(path);
    if (text === undefined) return otherwise;
    const value = Number.parseInt(text, 10);
    return Number.isFinite(value) ? value : otherwise;
  }

  /** 0: never; 1: asked for and given; 2: given. */
  get ecn(): number {
    return this.number('net/ipv4/tcp_ecn', 2);
  }
  /** 0: never; 1: when the queue is full; 2: always. */
  get synCookies(): number {
    return this.number('net/ipv4/tcp_syncookies', 1);
  }
  get synBacklog(): number {
    return this.number('net/ipv4/tcp_max_syn_backlog', 1024);
  }
  get abortOnOverflow(): boolean {
    return this.number('net/ipv4/tcp_abort_on_overflow', 0) !== 0;
  }
  get retries(): number {
    return this.number('net/ipv4/tcp_retries2', 15);
  }
  get synAckRetries(): number {
    return this.number('net/ipv4/tcp_synack_retries', 5);
  }
  get timeWaits(): number {
    return this.number('net/ipv4/tcp_max_tw_buckets', 16_384);
  }
  get selectiveAcks(): boolean {
    return this.number('net/ipv4/tcp_sack', 1) !== 0;
  }
  get timestamps(): boolean {
    return this.number('net/ipv4/tcp_timestamps', 1) !== 0;
  }
  get windowScaling(): boolean {
    return this.number('net/ipv4/tcp_window_scaling', 1) !== 0;
  }
  /** s, s, and a number. */
  get keepAlive(): { readonly idle: number; readonly interval: number; readonly count: number } {
    return {
      idle: this.number('net/ipv4/tcp_keepalive_time', 7200),
      interval: this.number('net/ipv4/tcp_keepalive_intvl', 75),
      count: this.number('net/ipv4/tcp_keepalive_probes', 9),
    };
  }
  get forwards4(): boolean {
    return this.number('net/ipv4/ip_forward', 0) !== 0;
  }
  get forwards6(): boolean {
    return this.number('net/ipv6/conf/all/forwarding', 0) !== 0;
  }
  /** For interfaces that come up. */
  get disablesIpv6(): boolean {
    return this.number('net/ipv6/conf/all/disable_ipv6', 0) !== 0 || this.number('net/ipv6/conf/default/disable_ipv6', 0) !== 0;
  }
  get ignoresEcho(): boolean {
    return this.number('net/ipv4/icmp_echo_ignore_all', 0) !== 0;
  }
  get ignoresBroadcastEcho(): boolean {
    return this.number('net/ipv4/icmp_echo_ignore_broadcasts', 1) !== 0;
  }
  get bindsElsewhere(): boolean {
    return this.number('net/ipv4/ip_nonlocal_bind', 0) !== 0;
  }
  get defaultTtl(): number {
    return this.number('net/ipv4/ip_default_ttl', 64);
  }
  /** First and last. */
  get ephemeralPorts(): readonly [number, number] {
    const [first, last] = (this.lookUp('net/ipv4/ip_local_port_range') ?? '').split(/\s+/).map(Number);
    const valid = first !== undefined && last !== undefined && first >= 1 && last <= 65_535 && first <= last;
    return valid ? [first, last] : [32_768, 60_999];
  }
}
