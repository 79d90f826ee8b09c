import type { Clock } from "../core/clock.ts";
import { MICROSECOND, NEVER, nanos, SECOND } from "../core/units.ts";
import type { FlowTimer, FlowTimers } from "./flow-timers.ts";
import { RetransmissionTimeout } from "./retransmission-timeout.ts";
import { SendQueue } from "./send-queue.ts";
import { sequenceAdd, sequenceDistance } from "./sequence.ts";
import { sequenceLength, TCP_FLAG, type TcpSegment } from "./tcp.ts";
import { MAX_WINDOW, ReceiveWindow, WINDOW_SCALE } from "./tcp-receive-window.ts";
import { TcpRecovery } from "./tcp-recovery.ts";
import { SendWindow, segmentLength } from "./tcp-send-window.ts";
import type { TcpPath, TcpUser } from "./tcp-user.ts";

/** RFC 9293 §3.3.2; a connection that is not open yet is `CLOSED`. */
type State =
  | "CLOSED"
  | "SYN-SENT"
  | "SYN-RECEIVED"
  | "ESTABLISHED"
  | "FIN-WAIT-1"
  | "FIN-WAIT-2"
  | "CLOSE-WAIT"
  | "CLOSING"
  | "LAST-ACK"
  | "TIME-WAIT";

const { FIN, SYN, RST, PSH, ACK } = TCP_FLAG;

/** What an Ethernet frame carries. */
const MSS = 1460;
/** RFC 9293 §3.7.1. */
const DEFAULT_MSS = 536;
/** Less would be a flood of headers for a guest's asking. */
const MIN_MSS = 64;
/** The cable is short: nothing strays on it for longer. */
const TIME_WAIT = SECOND;
/** Most data is acknowledged with what goes the other way, or some segments at a time. */
const ACK_DELAY = 500 * MICROSECOND;
const ACK_EVERY = 4 * MSS;
/** Between answers to empty segments that are out of place: two ends that disagree would not come to an end (RFC 5961 §7). */
const OUT_OF_PLACE_INTERVAL = SECOND / 2;
const SYN_RETRIES = 6;
const RETRIES = 12;
const DUPLICATES = 3;

/** Our end of a connection with the guest (RFC 9293), without urgent data and SACK. */
export class TcpConnection {
  readonly #path: TcpPath;
  readonly #user: TcpUser;
  readonly #clock: Clock;
  readonly #queue = new SendQueue();
  readonly #timeout = new RetransmissionTimeout();
  readonly #recovery = new TcpRecovery();
  readonly #timer: FlowTimer;
  readonly #ackTimer: FlowTimer;
  readonly #window: ReceiveWindow;
  #state: State = "CLOSED";
  /** SND.UNA and SND.NXT. */
  #una: number;
  #nxt: number;
  readonly #sendWindow = new SendWindow();
  #mss = DEFAULT_MSS;
  #finWanted = false;
  #finSent = false;
  #retries = 0;
  #duplicates = 0;
  /** When an empty segment that was out of place was last answered. */
  #outOfPlaceAt = Number.NEGATIVE_INFINITY;
  /** A byte was sent into a closed window. */
  #probing = false;
  #over = false;
  #timed: { readonly end: number; readonly at: number } | undefined;

  /** @param iss the initial sequence number, which nobody can guess */
  constructor(path: TcpPath, user: TcpUser, clock: Clock, timers: FlowTimers, iss: number) {
    this.#path = path;
    this.#user = user;
    this.#clock = clock;
    this.#una = this.#nxt = iss;
    this.#timer = timers.create(() => this.#onTimer());
    this.#ackTimer = timers.create(() => this.#sendAck());
    this.#window = new ReceiveWindow(user);
  }

  /** What is kept for the guest, in bytes of memory. */
  get queued(): number {
    return this.#queue.cost;
  }

  get inTimeWait(): boolean {
    return this.#state === "TIME-WAIT";
  }

  /** Whether a SYN with this number can only be the start of another connection (§3.6.1). */
  isBehind(sequence: number): boolean {
    return sequenceDistance(sequence, this.#window.next) > 0;
  }

  /** Opens towards the guest. */
  connect(): void {
    this.#state = "SYN-SENT";
    this.#sendSyn();
  }

  /** Answers the guest's SYN. */
  acceptSyn(syn: TcpSegment): void {
    this.#state = "SYN-RECEIVED";
    this.#takeSyn(syn);
    this.#sendSyn();
  }

  /** @param bytes are kept as they are */
  write(bytes: Uint8Array): void {
    this.#queue.push(bytes);
    this.output();
  }

  /** What was written is all. */
  end(): void {
    this.#finWanted = true;
    this.output();
  }

  /** Ends at once, with a RST for a guest that knows of the connection. */
  abort(): void {
    const known = !["CLOSED", "SYN-SENT", "TIME-WAIT"].includes(this.#state);
    if (known) this.#send(RST | ACK, this.#nxt);
    this.#close(this.#state !== "TIME-WAIT");
  }

  /** The user has room again. */
  roomGrown(): void {
    if (this.#state !== "CLOSED" && this.#state !== "SYN-SENT" && this.#window.worthTelling) {
      this.#sendAck();
    }
  }

  // --- segments from the guest (§3.10.7) ---

  accept(segment: TcpSegment): void {
    if (this.#state === "CLOSED") return;
    if (this.#state === "SYN-SENT") this.#acceptInSynSent(segment);
    else this.#acceptSynchronised(segment);
  }

  #acceptInSynSent(segment: TcpSegment): void {
    const { flags, acknowledgement } = segment;
    const acknowledges = (flags & ACK) !== 0;
    if (acknowledges && acknowledgement !== this.#nxt) {
      if ((flags & RST) === 0) this.#send(RST, acknowledgement);
      return;
    }
    if ((flags & RST) !== 0) {
      if (acknowledges) this.#close(true);
      return;
    }
    if ((flags & SYN) === 0) return;
    this.#takeSyn(segment);
    if (acknowledges) {
      this.#establish(segment);
      this.#sendAck();
      this.output();
    } else {
      this.#state = "SYN-RECEIVED";
      this.#sendSyn();
    }
  }

  #acceptSynchronised(segment: TcpSegment): void {
    const { flags, sequence } = segment;
    if (!this.#window.accepts(sequence, sequenceLength(segment))) {
      if ((flags & RST) === 0) this.#answerOutOfPlace(segment);
      return;
    }
    if ((flags & RST) !== 0) {
      // Only the very next number ends it (RFC 5961 §3.2).
      if (sequence === this.#window.next) this.#close(true);
      else this.#sendAck();
      return;
    }
    if ((flags & SYN) !== 0) {
      this.#sendAck();
      return;
    }
    if ((flags & ACK) === 0) return;
    if (this.#state === "SYN-RECEIVED") {
      if (segment.acknowledgement !== this.#nxt) {
        this.#send(RST, segment.acknowledgement);
        return;
      }
      this.#establish(segment);
    }
    if (!this.#takeAcknowledgement(segment)) return;
    this.#takePayload(segment);
    this.output();
  }

  #answerOutOfPlace(segment: TcpSegment): void {
    if (sequenceLength(segment) === 0) {
      const now = this.#clock.now();
      if (now < this.#outOfPlaceAt + OUT_OF_PLACE_INTERVAL) return;
      this.#outOfPlaceAt = now;
    }
    this.#sendAck();
  }

  #takeSyn(syn: TcpSegment): void {
    const { sequence, maxSegmentSize = DEFAULT_MSS, windowScale } = syn;
    this.#mss = Math.max(MIN_MSS, Math.min(MSS, maxSegmentSize));
    this.#window.start(sequenceAdd(sequence, 1), windowScale !== undefined);
    this.#sendWindow.start(syn);
  }

  #establish(segment: TcpSegment): void {
    this.#state = "ESTABLISHED";
    this.#una = segment.acknowledgement;
    this.#timer.cancel();
    this.#retries = 0;
    this.#timeout.progressed();
    const scaled = (segment.flags & SYN) === 0;
    this.#takeWindow(segment, scaled ? this.#sendWindow.sizeIn(segment) : segment.window);
    this.#user.established();
  }

  /** @returns false for what was never sent */
  #takeAcknowledgement(segment: TcpSegment): boolean {
    const { acknowledgement, payload } = segment;
    if (sequenceDistance(acknowledgement, this.#nxt) > 0) {
      this.#answerOutOfPlace(segment);
      return false;
    }
    const acked = sequenceDistance(acknowledgement, this.#una);
    if (acked < 0) return true;
    const window = this.#sendWindow.sizeIn(segment);
    if (acked > 0) this.#advance(acked);
    else if (payload.length === 0 && window === this.#sendWindow.size && this.#una !== this.#nxt) {
      this.#onDuplicate();
    }
    if (this.#isClosed()) return false;
    if (this.#sendWindow.isNewer(segment)) this.#takeWindow(segment, window);
    return true;
  }

  #takeWindow(segment: TcpSegment, window: number): void {
    this.#sendWindow.take(segment, window);
    // Whoever answers is there, even if he takes nothing.
    if (window === 0) this.#retries = 0;
    else if (this.#probing) {
      this.#probing = false;
      this.#nxt = this.#una;
      this.#timer.cancel();
    }
  }

  #advance(acked: number): void {
    this.#una = sequenceAdd(this.#una, acked);
    const finished = this.#finSent && this.#una === this.#nxt;
    this.#queue.drop(finished ? acked - 1 : acked);
    this.#retries = 0;
    this.#duplicates = 0;
    this.#probing = false;
    this.#timeout.progressed();
    if (this.#timed !== undefined && sequenceDistance(this.#una, this.#timed.end) >= 0) {
      this.#timeout.measured(this.#clock.now() - this.#timed.at);
      this.#timed = undefined;
    }
    this.#recovery.advanced(this.#una);
    if (this.#recovery.active) this.#resend();
    if (this.#una === this.#nxt) this.#timer.cancel();
    else this.#startTimer();
    this.#user.acknowledged();
    if (finished) this.#finAcknowledged();
  }

  #finAcknowledged(): void {
    if (this.#state === "FIN-WAIT-1") this.#state = "FIN-WAIT-2";
    else if (this.#state === "CLOSING") this.#waitForStrays();
    else if (this.#state === "LAST-ACK") this.#close(false);
  }

  #onDuplicate(): void {
    if (++this.#duplicates !== DUPLICATES || this.#recovery.active) return;
    this.#recovery.start(this.#una, this.#nxt, false);
    this.#resend();
  }

  #takePayload({ sequence, flags, payload }: TcpSegment): void {
    const window = this.#window;
    const had = sequenceDistance(window.next, sequence);
    const wanted = this.#state === "ESTABLISHED" || this.#state.startsWith("FIN-WAIT");
    const ends = (flags & FIN) !== 0;
    if (payload.length === 0 && !ends) return;
    if (had < 0 || !wanted) {
      this.#sendAck();
      return;
    }
    const data = payload.subarray(had, had + window.size);
    const whole = had + data.length >= payload.length;
    window.take(data.length);
    if (data.length > 0) this.#user.received(data, (flags & PSH) !== 0 || ends);
    if (this.#isClosed()) return;
    if (ends && whole) {
      window.take(1);
      this.#takeFin();
    } else if (had > 0 || !whole || window.unacknowledged >= ACK_EVERY) this.#sendAck();
    else if (this.#ackTimer.at === NEVER) {
      this.#ackTimer.set(nanos(this.#clock.now() + ACK_DELAY));
    }
  }

  #takeFin(): void {
    this.#sendAck();
    if (this.#state === "ESTABLISHED") this.#state = "CLOSE-WAIT";
    else if (this.#state === "FIN-WAIT-1") this.#state = "CLOSING";
    else this.#waitForStrays();
    this.#user.finished();
  }

  #waitForStrays(): void {
    this.#state = "TIME-WAIT";
    this.#timer.set(nanos(this.#clock.now() + TIME_WAIT));
  }

  // --- segments for the guest ---

  /** Sends what there is, as far as the guest's window and the way there allow. */
  output(): void {
    if (this.#state !== "ESTABLISHED" && this.#state !== "CLOSE-WAIT") return;
    for (;;) {
      const sent = sequenceDistance(this.#nxt, this.#una);
      const unsent = this.#queue.length - sent;
      // A probe may have to be sent again, before the FIN.
      if (unsent === 0 && (!this.#finWanted || this.#probing)) return;
      const usable = this.#sendWindow.size - sent;
      const length = segmentLength(unsent, usable, this.#mss, this.#path.maxSegmentData);
      const silly = this.#sendWindow.isSilly(length, unsent, this.#mss);
      // A FIN goes into a closed window.
      if ((length === 0 && unsent > 0) || silly) {
        if (this.#timer.at === NEVER) this.#startTimer();
        return;
      }
      if (!this.#path.clear) {
        this.#path.wait();
        return;
      }
      this.#sendData(sent, length, length === unsent);
      if (this.#finSent) return;
    }
  }

  #sendData(at: number, length: number, last: boolean): void {
    const ends = last && this.#finWanted;
    const flags = ACK | (last ? PSH : 0) | (ends ? FIN : 0);
    const sequence = this.#nxt;
    this.#nxt = sequenceAdd(sequence, length + (ends ? 1 : 0));
    this.#timed ??= { end: this.#nxt, at: this.#clock.now() };
    if (ends) {
      this.#finSent = true;
      this.#state = this.#state === "CLOSE-WAIT" ? "LAST-ACK" : "FIN-WAIT-1";
    }
    if (at === 0 || this.#timer.at === NEVER) this.#startTimer();
    this.#send(flags, sequence, at, length);
  }

  #resend(): void {
    const data = sequenceDistance(this.#nxt, this.#una) - (this.#finSent ? 1 : 0);
    this.#timed = undefined;
    while (this.#path.clear && this.#recovery.owes) {
      const at = sequenceDistance(this.#recovery.next, this.#una);
      const length = Math.min(this.#mss, data - at);
      const last = at + length === data;
      const ends = last && this.#finSent;
      const sequence = this.#recovery.next;
      this.#recovery.sent(length + (ends ? 1 : 0));
      this.#send(ACK | (last ? PSH : 0) | (ends ? FIN : 0), sequence, at, length);
    }
  }

  #onTimer(): void {
    if (this.#state === "TIME-WAIT") {
      this.#close(false);
      return;
    }
    // Behind frames that nobody fetches, one more would not help.
    if (this.#path.clear) {
      const opening = this.#state === "SYN-SENT" || this.#state === "SYN-RECEIVED";
      if (++this.#retries > (opening ? SYN_RETRIES : RETRIES)) {
        this.abort();
        return;
      }
      this.#timeout.expired();
      if (opening) this.#sendSyn();
      else if (this.#una !== this.#nxt) {
        this.#recovery.start(this.#una, this.#nxt, true);
        this.#resend();
      } else if (this.#queue.length > 0) this.#probe();
      else return;
    }
    this.#startTimer();
  }

  /** §3.8.6.1 */
  #probe(): void {
    const length = Math.max(1, Math.min(this.#sendWindow.size, this.#mss, this.#queue.length));
    this.#probing = this.#sendWindow.size === 0;
    this.#nxt = sequenceAdd(this.#nxt, length);
    this.#send(ACK | PSH, this.#una, 0, length);
  }

  #startTimer(): void {
    this.#timer.set(nanos(this.#clock.now() + this.#timeout.value));
  }

  #sendSyn(): void {
    const passive = this.#state === "SYN-RECEIVED";
    const iss = this.#una;
    this.#nxt = sequenceAdd(iss, 1);
    const windowScale = !passive || this.#window.scaled ? WINDOW_SCALE : undefined;
    this.#path.send({
      sequence: iss,
      acknowledgement: passive ? this.#window.next : 0,
      flags: passive ? SYN | ACK : SYN,
      window: passive ? this.#window.advertise(false) : Math.min(MAX_WINDOW, 0xffff),
      maxSegmentSize: MSS,
      windowScale,
    });
    this.#startTimer();
  }

  #sendAck(): void {
    if (this.#state !== "CLOSED") this.#send(ACK, this.#nxt);
  }

  #send(flags: number, sequence: number, at = 0, length = 0): void {
    this.#ackTimer.cancel();
    const window = this.#window.advertise(true);
    const acknowledgement = (flags & ACK) === 0 ? 0 : this.#window.next;
    const header = { sequence, acknowledgement, flags, window };
    this.#path.send(header, { queue: this.#queue, at, length, mss: this.#mss });
  }

  // --- the end ---

  /** Written so that TypeScript does not think that nothing has happened since the last look. */
  #isClosed(): boolean {
    return this.#state === "CLOSED";
  }

  #close(reset: boolean): void {
    if (this.#over) return;
    this.#over = true;
    this.#state = "CLOSED";
    this.#timer.remove();
    this.#ackTimer.remove();
    this.#queue.clear();
    this.#user.closed(reset);
  }
}
