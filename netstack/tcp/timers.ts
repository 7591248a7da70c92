/** The passing of time for one connection: retransmission and window probes, delayed acknowledgements, keepalive, the last states. */
import { ETIMEDOUT } from '../../abi/errno.ts';
import type { MovableTimer } from '../environment.ts';
import { enterRecovery } from './acknowledge.ts';
import { type Connection, FIN_WAIT_2, SYN_RECEIVED, SYN_SENT, TIME_WAIT } from './connection.ts';
import { sendAck, sendLossProbe, sendProbe, sendSyn, transmit } from './output.ts';
import { distance } from './sequence.ts';

/** net.ipv4.tcp_orphan_retries. */
const ORPHAN_RETRIES = 8;
/** ns. */
const DELAYED_ACK = 40e6;
const TIME_WAIT_LENGTH = 60e9;

export class ConnectionTimers {
  private readonly c: Connection;
  private readonly retransmit: MovableTimer;
  // Null until they are set for the first time: most connections live without.
  private delayedAck: MovableTimer | null = null;
  /** Keepalive, and the end of FIN_WAIT_2 and TIME_WAIT. */
  private life: MovableTimer | null = null;
  private cork: MovableTimer | null = null;
  /** Before the retransmission timeout: a probe for losses at the end, or the time when what is late counts as lost (RFC 8985). */
  private loss: MovableTimer | null = null;
  private probes = 0;
  private keepProbes = 0;
  /** Up to where the flight was when the probe's timer was set. */
  private probedAt = -1;

  constructor(c: Connection) {
    this.c = c;
    this.retransmit = c.stack.timer(() => this.retransmitDue());
  }

  stop(): void {
    this.retransmit.stop();
    this.delayedAck?.stop();
    this.life?.stop();
    this.cork?.stop();
    this.loss?.stop();
  }
  startRetransmit(): void {
    this.retransmit.set(this.c.now + this.c.roundTrip.timeout);
  }
  startCork(deadline: number): void {
    this.cork ??= this.c.stack.timer(() => transmit(this.c));
    this.cork.set(deadline);
  }
  /** After sending: something is underway, or waits for a window. */
  afterTransmit(): void {
    const { c } = this;
    if (!this.retransmit.isSet && (c.inFlight > 0 || distance(c.dataEnd, c.sndNxt) > 0)) this.startRetransmit();
    if (c.inFlight === 0 || !c.sack || c.recovery !== 'open' || c.rack.probeOut || c.sent.sackedBytes > 0) return;
    if (this.loss?.isSet === true && this.probedAt === c.sndNxt) return;
    this.probedAt = c.sndNxt;
    this.startLoss(Math.min(c.now + c.rack.probeDelay(c), this.retransmit.deadline));
  }
  /** Something is late and will count as lost after `wait` ns; 0: nothing is. */
  doubt(wait: number): void {
    if (wait > 0) this.startLoss(this.c.now + wait);
  }
  private startLoss(deadline: number): void {
    this.loss ??= this.c.stack.timer(() => this.lossDue());
    this.loss.set(deadline);
  }
  private startLife(deadline: number): void {
    this.life ??= this.c.stack.timer(() => this.lifeDue());
    this.life.set(deadline);
  }
  private lossDue(): void {
    const { c } = this;
    if (c.inFlight === 0 || c.state === TIME_WAIT) return;
    if (c.recovery === 'open' && c.sent.sackedBytes === 0) {
      if (c.rack.probeOut) return;
      sendLossProbe(c);
      this.startRetransmit();
      return;
    }
    this.doubt(c.rack.detect(c, c.now));
    if (c.recovery === 'open' && c.sent.lostBytes > 0) enterRecovery(c);
    else transmit(c);
  }
  /** Something was acknowledged. */
  progress(): void {
    const { c } = this;
    c.retries = 0;
    this.probes = 0;
    c.stuckSince = c.now;
    this.probedAt = -1;
    if (c.inFlight > 0) this.startRetransmit();
    else {
      this.retransmit.clear();
      this.loss?.clear();
    }
  }
  /** A loss was seen: its repair goes out at once, whatever the windows allow. */
  fastRetransmit(): void {
    this.startRetransmit();
    transmit(this.c, true);
  }
  /** An acknowledgement that was put off goes now. */
  flushAck(): void {
    if (this.delayedAck?.isSet === true) sendAck(this.c);
  }
  delayAck(): void {
    this.delayedAck ??= this.c.stack.timer(() => this.delayedAckDue());
    if (!this.delayedAck.isSet) this.delayedAck.set(this.c.now + DELAYED_ACK);
  }
  private delayedAckDue(): void {
    this.c.stack.counters.tcpExt.DelayedACKs++;
    sendAck(this.c);
  }
  acknowledged(): void {
    this.delayedAck?.clear();
  }

  private retransmitDue(): void {
    const { c } = this;
    const { userTimeout } = c.options;
    const opening = c.state === SYN_SENT || c.state === SYN_RECEIVED;
    if (!opening && c.inFlight === 0) {
      this.probeWindow();
      return;
    }
    // A probe comes before the timeout that it may save.
    if (this.loss?.isSet === true && !c.rack.probeOut && c.recovery === 'open' && c.sent.sackedBytes === 0) {
      this.loss.clear();
      this.lossDue();
      return;
    }
    const { settings, counters } = c.stack;
    counters.tcpExt.TCPTimeouts++;
    const answers = Math.max(settings.synAckRetries, c.options.deferAccept);
    const limit = c.state === SYN_SENT ? c.options.synRetries : opening ? answers : c.orphan ? ORPHAN_RETRIES : settings.retries;
    if (userTimeout > 0 ? c.now - c.stuckSince >= userTimeout : c.retries >= limit) {
      if (opening) counters.tcp.AttemptFails++;
      else counters.tcpExt.TCPAbortOnTimeout++;
      c.fail(c.lastSoftError !== 0 ? c.lastSoftError : ETIMEDOUT);
      return;
    }
    c.retries++;
    c.roundTrip.backOff();
    if (opening) {
      // One that has answered and only lacks data needs no reminder before its time is up.
      if (c.state === SYN_RECEIVED && c.heldBack && c.retries < c.options.deferAccept) this.startRetransmit();
      else sendSyn(c);
      return;
    }
    this.enterLoss();
    this.startRetransmit();
    transmit(c, true);
  }
  /** RFC 5681 §3.1, RFC 6675 §5.1, RFC 8985 §6.3. */
  private enterLoss(): void {
    const { c } = this;
    if (c.recovery !== 'loss' || c.retries === 1) c.congestion.lost(c.inFlight);
    c.congestion.timedOut();
    c.recovery = 'loss';
    c.recoverPoint = c.slowedUntil = c.sndNxt;
    c.duplicateAcks = 0;
    c.rack.probeOut = false;
    this.loss?.clear();
    // What it said it holds may be dropped again; it must hold everything that comes before the acknowledged.
    if (c.retries > 1 || c.sent.first?.sacked === true) c.sent.forgetSacks();
    if (c.sack && c.retries === 1 && c.rack.at > 0) c.rack.timedOut(c, c.now);
    else c.sent.loseAll();
  }
  /** Nothing is underway, but there is something to send: the window is closed (RFC 9293 §3.8.6.1). */
  private probeWindow(): void {
    const { c } = this;
    if (distance(c.dataEnd, c.sndNxt) <= 0) return;
    if (c.sndWnd === 0) {
      const { userTimeout } = c.options;
      // A peer that answers may keep its window shut as long as it likes; one that is silent may not.
      if (userTimeout > 0 ? c.now - c.stuckSince >= userTimeout : this.probes >= (c.orphan ? ORPHAN_RETRIES : c.stack.settings.retries)) {
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
    this.startLife(this.c.lastReceived + this.c.options.keepIdle);
  }
  stopKeepAlive(): void {
    if (this.c.state !== TIME_WAIT && this.c.state !== FIN_WAIT_2) this.life?.clear();
  }
  startFinWait(): void {
    this.startLife(this.c.now + this.c.options.finWait);
  }
  startTimeWait(): void {
    this.retransmit.stop();
    this.delayedAck?.stop();
    this.loss?.stop();
    this.cork?.stop();
    this.startLife(this.c.now + TIME_WAIT_LENGTH);
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
      this.startLife(c.inFlight > 0 ? c.now + keepIdle : c.lastReceived + keepIdle);
      return;
    }
    if (userTimeout > 0 ? silent >= userTimeout && this.keepProbes > 0 : this.keepProbes >= keepCount) {
      c.abort(ETIMEDOUT);
      return;
    }
    this.keepProbes++;
    sendProbe(c);
    this.startLife(c.now + keepInterval);
  }
}
