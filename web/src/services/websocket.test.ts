import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { RunEvent } from '../model/overlay';
import { WebSocketService, type AgentUpdate, type Moved } from './websocket';

/** A socket as the library has one, whose server is the test. */
class FakeSocket {
  connected = false;
  active = true;
  asked: [string, Record<string, unknown>][] = [];
  refuses: string | null = null;
  readonly #listeners = new Map<string, (body: unknown) => void>();
  on(name: string, listener: (body: unknown) => void) {
    this.#listeners.set(name, listener);
  }
  emit(name: string, body: Record<string, unknown>, answered: (answer: unknown) => void) {
    this.asked.push([name, body]);
    answered(this.refuses ? { error: { code: this.refuses } } : { ok: true, runs: {} });
  }
  connect() {
    return this;
  }
  disconnect() {
    return this;
  }
  tell(name: string, body?: unknown) {
    if (name === 'connect') this.connected = true;
    if (name === 'disconnect') this.connected = false;
    this.#listeners.get(name)?.(body);
  }
}

let socket: FakeSocket;
interface Options {
  path: string;
  transports: string[];
  auth: (give: (data: unknown) => void) => void;
}
let options: Options | undefined;
vi.mock('socket.io-client', () => ({
  io: (_: string, given: Options) => {
    options = given;
    return socket;
  },
}));

const stops: (() => void)[] = [];
beforeEach(() => {
  socket = new FakeSocket();
  options = undefined;
  vi.stubGlobal('fetch', () => Promise.resolve(new Response(null, { status: 204 })));
});
afterEach(() => {
  for (const stop of stops.splice(0)) stop();
  vi.unstubAllGlobals();
  sessionStorage.clear();
});

const update = (seq: number, more: object = {}) => ({
  workflowId: 'w',
  runId: 'r',
  seq,
  at: '',
  type: 'step.started',
  node: 'a',
  status: 'running',
  ...more,
});

async function followed(after: number, is: 'up' | 'not yet' | 'refused' = 'up') {
  const service = new WebSocketService();
  const events: RunEvent[] = [];
  const words: string[] = [];
  const connected: boolean[] = [];
  const lost = vi.fn();
  const run = { id: 'r', workflowId: 'w' };
  const listener = {
    events: (more: RunEvent[]) => events.push(...more),
    words: ({ text }: { text: string }) => words.push(text),
    connected: (is: boolean) => connected.push(is),
    lost,
  };
  const stop = service.followRun(run, after, listener);
  stops.push(stop);
  // The library is loaded by then.
  await vi.waitFor(() => expect(options).toBeDefined());
  await new Promise((resolve) => setTimeout(resolve, 0));
  if (is === 'up') socket.tell('connect');
  if (is === 'refused') {
    socket.active = false;
    socket.tell('connect_error');
  }
  return { service, events, words, connected, lost, stop };
}
const seqs = (events: RunEvent[]) => events.map((event) => event.seq);
const record = (seq: number) =>
  `id: ${seq}\nevent: step.started\ndata: ${JSON.stringify({ seq, at: '', type: 'step.started' })}\n\n`;

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

describe('following a run over the socket', () => {
  it('says who asks by the key of the moment, and from where on', async () => {
    sessionStorage.setItem('callboard.key', 'first');
    await followed(3);
    expect(options).toMatchObject({ path: '/ws', transports: ['websocket'] });
    sessionStorage.setItem('callboard.key', 'second');
    const give = vi.fn();
    options?.auth(give);
    expect(give).toHaveBeenCalledWith({ token: 'second' });
    expect(socket.asked).toEqual([['subscribe', { runId: 'r', after: 3 }]]);
  });

  it('tells each event once, in order, with what it says', async () => {
    const { events, connected, lost } = await followed(3);
    socket.tell('step:update', update(3));
    socket.tell('step:update', update(4, { branch: 'true', usage: { prompt_tokens: 1 } }));
    socket.tell('step:update', update(4));
    socket.tell('run:update', update(5, { type: 'run.completed', node: undefined, status: 'completed' }));
    socket.tell('run:update', { ...update(6), runId: 'other' });
    await vi.waitFor(() => expect(seqs(events)).toEqual([4, 5]));
    expect(events[0]).toMatchObject({ node: 'a', status: 'running', data: { branch: 'true' } });
    // What a run is stands in its type; only steps have a status here.
    expect(events[1]).not.toHaveProperty('status');
    expect([connected, lost.mock.calls.length]).toEqual([[true], 0]);
  });

  it('goes on behind the last event after the connection was lost', async () => {
    const { events, connected } = await followed(3);
    socket.tell('step:update', update(4));
    socket.tell('disconnect');
    socket.tell('connect');
    expect(socket.asked.at(-1)).toEqual(['subscribe', { runId: 'r', after: 4 }]);
    socket.tell('step:update', update(5));
    await vi.waitFor(() => expect(seqs(events)).toEqual([4, 5]));
    expect(connected).toEqual([true, false, true]);
  });

  it('says that something was left out, and tells no more', async () => {
    const { events, lost } = await followed(3);
    socket.tell('resync', { runId: 'r', workflowId: 'w', seq: 90 });
    socket.tell('step:update', update(91));
    expect(lost).toHaveBeenCalledOnce();
    const gap = await followed(3);
    socket.tell('step:update', update(4));
    socket.tell('step:update', update(6));
    expect(gap.lost).toHaveBeenCalledOnce();
    await new Promise((resolve) => setTimeout(resolve, 60));
    expect([seqs(events), seqs(gap.events)]).toEqual([[], []]);
  });

  it('tells words to who follows and to who subscribed to the workflow', async () => {
    const { service, words } = await followed(0);
    const told: AgentUpdate[] = [];
    const silent = service.subscribeToAgentUpdates('w', (one) => told.push(one));
    expect(socket.asked.at(-1)).toEqual(['subscribe', { workflowId: 'w' }]);
    const said = { workflowId: 'w', runId: 'r', seq: 1, node: 'a', generation: 1, iteration: '', attempt: 1 };
    socket.tell('agent:update', { ...said, said: 'Hi' });
    socket.tell('agent:update', { ...said, status: 'completed' });
    silent();
    expect(socket.asked.at(-1)).toEqual(['unsubscribe', { workflowId: 'w' }]);
    socket.tell('agent:update', { ...said, said: ' there' });
    expect(words).toEqual(['Hi', ' there']);
    expect(told).toEqual([
      { workflowId: 'w', runId: 'r', node: 'a', generation: 1, iteration: '', attempt: 1, text: 'Hi' },
    ]);
  });

  it('subscribes to a workflow once for all who want it', async () => {
    const { service } = await followed(0);
    const steps: unknown[] = [];
    const leave = service.watchSteps('w', (step) => steps.push(step));
    const silent = service.subscribeToAgentUpdates('w', () => undefined);
    const asked = () => socket.asked.filter(([, body]) => 'workflowId' in body).map(([name]) => name);
    expect(asked()).toEqual(['subscribe']);
    socket.tell('step:update', { ...update(9, { status: 'waiting' }), runId: 'other' });
    socket.tell('run:update', { ...update(10), runId: 'other', node: undefined });
    leave();
    socket.tell('step:update', { ...update(11), runId: 'other' });
    // What was before it was told is to be asked for.
    expect(steps).toEqual([null, { runId: 'other', node: 'a', status: 'waiting' }]);
    expect(asked()).toEqual(['subscribe']);
    silent();
    expect(asked()).toEqual(['subscribe', 'unsubscribe']);
  });

  it('subscribes to all of it again, runs behind workflows', async () => {
    const { service, stop } = await followed(3);
    service.subscribeToAgentUpdates('w', () => undefined);
    const moves: (Moved | null)[] = [];
    service.watchRuns((moved) => moves.push(moved));
    socket.asked = [];
    socket.tell('disconnect');
    socket.tell('connect');
    expect(socket.asked.map(([, body]) => body)).toEqual([
      { workflowId: 'w' },
      { project: true },
      { runId: 'r', after: 3 },
    ]);
    const moved = { runId: 'x', workflowId: null, status: 'running' };
    socket.tell('run:begin', moved);
    socket.tell('resync', { project: true });
    expect(moves).toEqual([null, moved, null]);
    stop();
    expect(socket.asked.at(-1)).toEqual(['unsubscribe', { runId: 'r' }]);
    expect(service.isUp()).toBe(true);
  });
});

describe('following a run without a socket', () => {
  it('reads its stream where sockets are refused, on behind the last event each time', async () => {
    const asked = serves(
      () => new Response(record(4) + record(5)),
      () => new Response(null, { status: 503 }),
      () => new Response(record(6)),
    );
    const { events, connected } = await followed(3, 'refused');
    await vi.waitFor(() => expect(asked).toEqual(['3', '5', '5', '6']), { timeout: 6000 });
    await vi.waitFor(() => expect(seqs(events)).toEqual([4, 5, 6]));
    expect(connected).toEqual([true, false, false, true, false]);
  }, 10_000);

  it('reads it where there is no room for one more run, and where the socket does not come', async () => {
    const asked = serves();
    socket.refuses = 'too_many_subscriptions';
    await followed(3);
    await vi.waitFor(() => expect(asked).toEqual(['3']));
    await followed(7, 'not yet');
    await vi.waitFor(() => expect(asked).toEqual(['3', '7']), { timeout: 4000 });
  }, 10_000);

  it('does not ask again where it is refused, nor when it was told to stop', async () => {
    const asked = serves(
      () => new Response('{}', { status: 404 }),
      () => new Response(record(1)),
    );
    const { connected } = await followed(0, 'refused');
    await vi.waitFor(() => expect(asked).toHaveLength(1));
    const { stop } = await followed(0, 'refused');
    await vi.waitFor(() => expect(asked).toHaveLength(2));
    stop();
    await new Promise((resolve) => setTimeout(resolve, 700));
    expect([asked.length, connected.length]).toEqual([2, 0]);
  });

  it('goes over to the socket when that stands', async () => {
    const aborted = vi.fn();
    vi.stubGlobal('fetch', (_: string, { signal }: RequestInit) => {
      signal?.addEventListener('abort', aborted);
      return Promise.resolve(new Response(new ReadableStream()));
    });
    const { connected } = await followed(2, 'refused');
    await vi.waitFor(() => expect(connected).toEqual([true]));
    socket.tell('connect');
    expect(aborted).toHaveBeenCalledOnce();
    expect(socket.asked).toEqual([['subscribe', { runId: 'r', after: 2 }]]);
  });
});
