import { afterEach, describe, expect, it, vi } from 'vitest';
import type { RunEvent } from '../model/overlay';
import { WebSocketService, type AgentUpdate } from './websocket';

const record = (seq: number) =>
  `id: ${seq}\nevent: step.started\ndata: ${JSON.stringify({ seq, at: '', type: 'step.started' })}\n\n`;
const SAID =
  'event: agent.said\ndata: {"node":"a","generation":1,"iteration":"","attempt":1,"text":"Hi"}\n\n';

const stops: (() => void)[] = [];
afterEach(() => {
  for (const stop of stops.splice(0)) stop();
  vi.unstubAllGlobals();
});

/** A server that answers the streams of a run one after the other, and then that there is no more. */
function serves(...answers: (() => Response)[]): string[] {
  const asked: string[] = [];
  vi.stubGlobal('fetch', (url: string) => {
    asked.push(new URL(url).searchParams.get('after') ?? '');
    const answer = answers.shift() ?? (() => new Response(null, { status: 204 }));
    return Promise.resolve(answer());
  });
  return asked;
}

function followed(after = 0) {
  const service = new WebSocketService();
  const events: RunEvent[] = [];
  const words: AgentUpdate[] = [];
  const connected: boolean[] = [];
  const silent = service.subscribeToAgentUpdates('w', (update) => words.push(update));
  const run = { id: 'r', workflowId: 'w' };
  const listener = {
    events: (more: RunEvent[]) => events.push(...more),
    connected: (is: boolean) => connected.push(is),
  };
  const stop = service.followRun(run, after, listener);
  stops.push(stop);
  return { events, words, connected, stop, silent };
}

describe('following a run', () => {
  it('goes on behind the last event after the connection was lost', async () => {
    const asked = serves(
      () => new Response(record(4) + record(5)),
      () => new Response(null, { status: 503 }),
      () => new Response(record(6)),
    );
    const { events, connected } = followed(3);
    await vi.waitFor(() => expect(asked).toEqual(['3', '5', '5', '6']), { timeout: 6000 });
    await vi.waitFor(() => expect(events.map((event) => event.seq)).toEqual([4, 5, 6]));
    expect(connected).toEqual([true, false, false, true, false]);
  }, 10_000);

  it('tells who subscribed to the workflow what its agents say, and nobody who went', async () => {
    serves(() => new Response(SAID + record(1)));
    const { words, events, silent } = followed();
    await vi.waitFor(() => expect(events).toHaveLength(1));
    expect(words).toEqual([
      { workflowId: 'w', runId: 'r', node: 'a', generation: 1, iteration: '', attempt: 1, text: 'Hi' },
    ]);
    silent();
  });

  it('does not ask again where it is refused', async () => {
    const asked = serves(() => new Response('{}', { status: 404 }));
    const { connected } = followed();
    await new Promise((resolve) => setTimeout(resolve, 700));
    expect([asked.length, connected.length]).toEqual([1, 0]);
  });

  it('stops when it is told to', async () => {
    const asked = serves(() => new Response(record(1)));
    const { stop } = followed();
    stop();
    await new Promise((resolve) => setTimeout(resolve, 700));
    expect(asked).toHaveLength(1);
  });
});
