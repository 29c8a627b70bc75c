import type { RunEvent } from '../model/overlay';
import { readStream, type Words } from './stream';

export interface Listener {
  events: (events: RunEvent[]) => void;
  words?: (words: Words) => void;
  /** Whether the connection stands. */
  connected?: (is: boolean) => void;
  /** Something was left out. What is known has to be asked for anew, and the run followed from there: no more is told. */
  lost: () => void;
}

/** A run, and the workflow whose listeners hear of it. */
export interface Followed {
  id: string;
  workflowId: string | null;
}

/** In a hidden tab no frame comes: then events are handed on this often, in milliseconds. */
const HIDDEN_MS = 1000;

/** One who follows a run, over the socket or by its stream: each event once, in order. */
export class Follower {
  seq: number;
  readonly run: Followed;
  readonly listener: Listener;
  readonly #told: (words: Words) => void;
  readonly #stop = new AbortController();
  #stream: AbortController | null = null;
  #isBySocket = false;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #waiting: RunEvent[] = [];

  constructor(run: Followed, after: number, listener: Listener, told: (words: Words) => void) {
    this.run = run;
    this.seq = after;
    this.listener = listener;
    this.#told = told;
  }

  stop(): void {
    this.#stop.abort();
    this.#endStream();
  }

  /** It is told over the socket from now on. */
  socketStands(): void {
    if (this.#stop.signal.aborted) return;
    this.#endStream();
    this.#isBySocket = true;
    this.listener.connected?.(true);
  }

  socketFell(ms: number): void {
    if (this.#isBySocket && !this.#stop.signal.aborted) this.listener.connected?.(false);
    this.#isBySocket = false;
    this.streamIn(ms);
  }

  /** Reads the stream, unless the socket stands by then. */
  streamIn(ms: number): void {
    if (this.#stop.signal.aborted || this.#stream) return;
    // Who waits already waits no longer.
    if (this.#timer !== undefined && ms > 0) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#read(), ms);
  }

  /** Takes what follows; what it has already is passed over. */
  take(events: RunEvent[]): void {
    for (const event of events) {
      if (this.#stop.signal.aborted || event.seq <= this.seq) continue;
      // Each seq is told once: where one is missing, more is.
      if (event.seq > this.seq + 1) return this.lose();
      this.seq = event.seq;
      this.#hand(event);
    }
  }

  lose(): void {
    if (this.#stop.signal.aborted) return;
    this.stop();
    this.listener.lost();
  }

  #read(): void {
    this.#timer = undefined;
    const stream = new AbortController();
    this.#stream = stream;
    const isRead = readStream(this.run.id, () => this.seq, stream.signal, {
      events: (events) => this.take(events),
      words: (words) => {
        this.listener.words?.(words);
        this.#told(words);
      },
      connected: (is) => this.listener.connected?.(is),
    });
    void isRead.then(() => {
      if (this.#stream === stream) this.#stream = null;
    });
  }

  #endStream(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#stream?.abort();
    this.#stream = null;
  }

  /** Hands events on once a frame, however many come. */
  #hand(event: RunEvent): void {
    this.#waiting.push(event);
    if (this.#waiting.length > 1) return;
    const hand = () => {
      const events = this.#waiting;
      this.#waiting = [];
      if (!this.#stop.signal.aborted) this.listener.events(events);
    };
    if (document.hidden) setTimeout(hand, HIDDEN_MS);
    else requestAnimationFrame(hand);
  }
}
