/** The passing of time for one connection: retransmission and window probes, delayed acknowledgements, keepalive, the last states. */
import { ETIMEDOUT } from '../../abi/errno.ts';
import type { MovableTimer } from '../environment.ts';
import { type Connection, FIN_WAIT_2, SYN_RECEIVED, SYN_SENT, TIME_WAIT } from './connection.ts';
import { sendAck, sendProbe, sendSyn, transmit } from './output.ts';
import { distance } from './sequence.ts';

/** net.ipv4.tcp_retries2, tcp_orphan_retries, tcp_synack_retries. */
const DATA_RETRIES = 15;
const ORPHAN_RETRIES = 8;
const SYN_ACK_RETRIES = 5;
/** ns. */
const DELAYED_ACK = 40e6;
const TIME_WAIT_LENGTH = 60e9;

export class ConnectionTimers {
  private readonly c: Connection;
  private readonly retransmit: MovableTimer;
  private readonly delayedAck: MovableTimer;
  /** Keepalive, and the end of FIN_WAIT_2 and TIME_WAIT. */
  private readonly life: MovableTimer;
  private readonly cork: MovableTimer;
  private probes = 0;
  private keepProbes = 0;

  constructor(c: Connection) {
    this.c = c;
    this.retransmit = c.stack.timer(() => this.retransmitDue());
    this.delayedAck = c.stack.timer(() => sendAck(c));
    this.life = c.stack.timer(() => this.lifeDue());
    this.cork = c.stack.timer(() => transmit(c));
  }

  stop(): void {
    this.retransmit.stop();
    this.delayedAck.stop();
    this.life.stop();
    this.cork.stop();
  }
  startRetransmit(): void {
    this.retransmit.set(this.c.now + this.c.roundTrip.timeout);
  }
  startCork(deadline: number): void {
    this.cork.set(deadline);
  }
  /** After sending: something is underway, or waits for a window. */
  afterTransmit(): void {
    const { c } = this;
    if (this.retransmit.isSet) return;
    if (c.inFlight > 0 || distance(c.dataEnd, c.sndNxt) > 0) this.startRetransmit();
  }
  /** Something was acknowledged. */
  progress(): void {
    const { c } = this;
    c.retries = 0;
    this.probes = 0;
    c.stuckSince = c.now;
    if (c.inFlight > 0) this.startRetransmit();
    else this.retransmit.clear();
  }
  /** A loss was seen: its repair goes out at once, whatever the windows allow. */
  fastRetransmit(): void {
    this.startRetransmit();
    transmit(this.c, true);
  }
  delayAck(): void {
    if (!this.delayedAck.isSet) this.delayedAck.set(this.c.now + DELAYED_ACK);
  }
  acknowledged(): void {
    this.delayedAck.clear();
  }

  private retransmitDue(): void {
    const { c } = this;
    const { userTimeout } = c.options;
    const opening = c.state === SYN_SENT || c.state === SYN_RECEIVED;
    if (!opening && c.inFlight === 0) {
      this.probeWindow();
      return;
    }
    const limit = c.state === SYN_SENT ? c.options.synRetries : opening ? SYN_ACK_RETRIES : c.orphan ? ORPHAN_RETRIES : DATA_RETRIES;
    if (userTimeout > 0 ? c.now - c.stuckSince >= userTimeout : c.retries >= limit) {
      c.fail(c.lastSoftError !== 0 ? c.lastSoftError : ETIMEDOUT);
      return;
    }
    c.retries++;
    c.roundTrip.backOff();
    c.timedAt = 0;
    if (opening) {
      sendSyn(c);
      return;
    }
    this.enterLoss();
    this.startRetransmit();
    transmit(c, true);
  }
  /** Everything underway counts as lost (RFC 5681 §3.1, RFC 6675 §5.1). */
  private enterLoss(): void {
    const { c } = this;
    if (c.recovery !== 'loss' || c.retries === 1) c.congestion.lost(c.inFlight);
    c.congestion.timedOut();
    c.recovery = 'loss';
    c.recoverPoint = c.sndNxt;
    c.highRetransmit = c.sndUna;
    c.duplicateAcks = 0;
    if (c.retries > 1) c.scoreboard.clear(); // it may have taken back what it said
  }
  /** Nothing is underway, but there is something to send: the window is closed (RFC 9293 §3.8.6.1). */
  private probeWindow(): void {
    const { c } = this;
    if (distance(c.dataEnd, c.sndNxt) <= 0) return;
    if (c.sndWnd === 0) {
      const { userTimeout } = c.options;
      // A peer that answers may keep its window shut as long as it likes; one that is silent may not.
      if (userTimeout > 0 ? c.now - c.stuckSince >= userTimeout : this.probes >= (c.orphan ? ORPHAN_RETRIES : DATA_RETRIES)) {
        c.fail(ETIMEDOUT);
        return;
      }
      this.probes++;
      c.roundTrip.backOff();
      sendProbe(c);
    } else transmit(c);
    if (!this.retransmit.isSet) this.startRetransmit();
  }

  /** The other side has shown that it lives. */
  heard(): void {
    const { c } = this;
    c.lastReceived = c.now;
    this.probes = 0;
    if (c.options.keepAlive && c.state !== TIME_WAIT && !(c.state === FIN_WAIT_2 && c.orphan)) this.startKeepAlive();
  }
  startKeepAlive(): void {
    this.keepProbes = 0;
    this.life.set(this.c.lastReceived + this.c.options.keepIdle);
  }
  stopKeepAlive(): void {
    if (this.c.state !== TIME_WAIT && this.c.state !== FIN_WAIT_2) this.life.clear();
  }
  startFinWait(): void {
    this.life.set(this.c.now + this.c.options.finWait);
  }
  startTimeWait(): void {
    this.retransmit.stop();
    this.cork.stop();
    this.life.set(this.c.now + TIME_WAIT_LENGTH);
  }
  private lifeDue(): void {
    const { c } = this;
    if (c.state === TIME_WAIT || (c.state === FIN_WAIT_2 && c.orphan)) {
      c.fail(0);
      return;
    }
    if (!c.options.keepAlive || !c.established) return;
    const { keepIdle, keepInterval, keepCount, userTimeout } = c.options;
    const silent = c.now - c.lastReceived;
    if (silent < keepIdle || c.inFlight > 0) {
      this.life.set(c.inFlight > 0 ? c.now + keepIdle : c.lastReceived + keepIdle);
      return;
    }
    if (userTimeout > 0 ? silent >= userTimeout && this.keepProbes > 0 : this.keepProbes >= keepCount) {
      c.abort(ETIMEDOUT);
      return;
    }
    this.keepProbes++;
    sendProbe(c);
    this.life.set(c.now + keepInterval);
  }
}
