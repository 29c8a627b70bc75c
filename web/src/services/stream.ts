/** A run's history as an event stream. It is read by `fetch`, since an `EventSource` can't send a key. */
import type { RunEvent } from '../model/overlay';
import { Records } from './records';
import { headers, origin } from './send';

/** A piece of what an agent says while it says it. */
export interface Words {
  node: string;
  generation: number;
  iteration: string;
  attempt: number;
  text: string;
}

interface Told {
  events: (events: RunEvent[]) => void;
  words: (words: Words) => void;
  /** Whether the connection stands. */
  connected: (is: boolean) => void;
}

/** Pauses between attempts to connect, in milliseconds. */
const PAUSES = [500, 1000, 2000, 5000];

/** Reads it to the run's end, behind the seq that is known each time it connects. */
export async function readStream(
  run: string,
  after: () => number,
  signal: AbortSignal,
  told: Told,
): Promise<void> {
  for (let lost = 0; !signal.aborted; lost += 1) {
    const isOver = await readOnce(run, after(), signal, {
      ...told,
      connected: (is) => {
        if (is) lost = 0;
        told.connected(is);
      },
    });
    if (isOver) return;
    told.connected(false);
    await new Promise((resolve) => setTimeout(resolve, PAUSES[Math.min(lost, PAUSES.length - 1)]));
  }
}

/** Reads one response; true if there will be no more of it. */
async function readOnce(run: string, after: number, signal: AbortSignal, told: Told): Promise<boolean> {
  try {
    const url = `${origin()}/api/v1/runs/${encodeURIComponent(run)}/history?said=true&after=${after}`;
    const response = await fetch(url, { headers: headers({ accept: 'text/event-stream' }), signal });
    // 204: it has ended, and all of it was told. What is refused stays refused.
    const { status } = response;
    if (status === 204 || (status >= 400 && status < 500 && status !== 429)) return true;
    if (!response.ok || !response.body) return false;
    told.connected(true);
    const records = new Records();
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
      for (const record of records.read(piece.value)) {
        if (record.event === 'agent.said') told.words(JSON.parse(record.data) as Words);
        else told.events([JSON.parse(record.data) as RunEvent]);
      }
    }
    return false;
  } catch {
    return signal.aborted;
  }
}
