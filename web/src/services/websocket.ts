/**
 * What happens now, in the order in which it happened: a run's events and its agents' words. Whoever listens says from
 * which seq on; after a lost connection it goes on behind the last one, so nothing is missed and nothing counts twice.
 *
 * Events come as the history's stream, which is read by `fetch`, since an `EventSource` can't send a key.
 */
import type { RunEvent } from '../model/overlay';
import { headers, origin } from './send';
import { Records } from './records';

export interface Words {
  node: string;
  generation: number;
  iteration: string;
  attempt: number;
  text: string;
}

export interface Listener {
  events: (events: RunEvent[]) => void;
  /** Whether the connection stands. */
  connected?: (is: boolean) => void;
}

/** A run, and the workflow whose listeners hear of it. */
export interface Followed {
  id: string;
  workflowId: string | null;
}

export interface AgentUpdate extends Words {
  workflowId: string;
  runId: string;
}

/** Pauses between attempts to connect, in milliseconds. */
const PAUSES = [500, 1000, 2000, 5000];
/** In a hidden tab no frame comes: then events are handed on this often. */
const HIDDEN_MS = 1000;

export class WebSocketService {
  readonly #told = new Map<string, Set<(update: AgentUpdate) => void>>();

  /** Follows a run from behind a seq, until it ends or the returned function is called. */
  followRun(run: Followed, after: number, listener: Listener): () => void {
    const stop = new AbortController();
    void this.#follow(run, after, listener, stop.signal);
    return () => stop.abort();
  }

  /** Tells what agents say in the runs of a workflow that are followed. */
  subscribeToAgentUpdates(workflowId: string, told: (update: AgentUpdate) => void): () => void {
    const all = this.#told.get(workflowId) ?? new Set();
    this.#told.set(workflowId, all.add(told));
    return () => all.delete(told);
  }

  async #follow(run: Followed, after: number, listener: Listener, signal: AbortSignal): Promise<void> {
    let seq = after;
    const batch = new Batch(listener.events, signal);
    for (let lost = 0; !signal.aborted; lost += 1) {
      const isOver = await this.#read(run.id, seq, signal, {
        words: (said) => this.#tell(run, said),
        connected: (is) => {
          if (is) lost = 0;
          listener.connected?.(is);
        },
        events: (events) => {
          seq = Math.max(seq, ...events.map((event) => event.seq));
          batch.add(events);
        },
      });
      if (isOver) return;
      listener.connected?.(false);
      await new Promise((resolve) => setTimeout(resolve, PAUSES[Math.min(lost, PAUSES.length - 1)]));
    }
  }

  #tell({ id: runId, workflowId }: Followed, words: Words): void {
    for (const told of this.#told.get(workflowId ?? '') ?? [])
      told({ ...words, workflowId: workflowId ?? '', runId });
  }

  /** Reads one stream; true if there will be no more of it. */
  async #read(
    runId: string,
    after: number,
    signal: AbortSignal,
    listener: Listener & { words: (words: Words) => void },
  ): Promise<boolean> {
    try {
      const url = `${origin()}/api/v1/runs/${encodeURIComponent(runId)}/history?said=true&after=${after}`;
      const accept = headers({ accept: 'text/event-stream' });
      const response = await fetch(url, { headers: accept, signal });
      // 204: it has ended, and all of it was told. What is refused stays refused.
      if (
        response.status === 204 ||
        (response.status >= 400 && response.status < 500 && response.status !== 429)
      )
        return true;
      if (!response.ok || !response.body) return false;
      listener.connected?.(true);
      const records = new Records();
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
        for (const record of records.read(piece.value)) {
          if (record.event === 'agent.said') listener.words(JSON.parse(record.data) as Words);
          else listener.events([JSON.parse(record.data) as RunEvent]);
        }
      }
      return false;
    } catch {
      return signal.aborted;
    }
  }
}

/** Hands events on once a frame, however many come. */
class Batch {
  readonly #told: (events: RunEvent[]) => void;
  readonly #signal: AbortSignal;
  #waiting: RunEvent[] = [];

  constructor(told: (events: RunEvent[]) => void, signal: AbortSignal) {
    this.#told = told;
    this.#signal = signal;
  }

  add(events: RunEvent[]): void {
    const isFirst = this.#waiting.length === 0;
    this.#waiting.push(...events);
    if (!isFirst) return;
    const hand = () => {
      const events = this.#waiting;
      this.#waiting = [];
      if (!this.#signal.aborted) this.#told(events);
    };
    if (document.hidden) setTimeout(hand, HIDDEN_MS);
    else requestAnimationFrame(hand);
  }
}

export const live = new WebSocketService();
