// @vitest-environment node
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Definition } from './document';
import {
  advance,
  empty,
  hasEnded,
  isTurn,
  overlayOf,
  runStatus,
  type Overlay,
  type OverlayTold,
  type RunEvent,
  type RunTold,
} from './overlay';
import { shapeOf } from './shape';

const DOCUMENT: Definition = {
  name: 'x',
  nodes: [
    { id: 'a', type: 'agent', config: {} },
    { id: 'ask', type: 'approval', config: {} },
    { id: 'each', type: 'for_each', config: { body: { nodes: [{ id: 'in', type: 'agent', config: {} }] } } },
  ],
  edges: [
    { source: 'a', target: 'ask' },
    { source: 'ask', target: 'each' },
  ],
};
const shape = shapeOf(DOCUMENT);

let seq = 0;
const event = (type: string, more: Partial<RunEvent> = {}): RunEvent => {
  seq += 1;
  return { seq, at: `2027-01-01T00:00:0${seq % 10}.000Z`, type, generation: 1, attempt: 1, ...more };
};
const history = (): RunEvent[] => {
  seq = 0;
  return [
    event('run.created'),
    event('step.started', { node: 'a' }),
    event('step.retrying', {
      node: 'a',
      data: { retry_at: '2027-01-01T00:00:09Z', error: { code: 'again', message: 'm' } },
    }),
    event('step.started', { node: 'a', attempt: 2 }),
    event('step.completed', {
      node: 'a',
      attempt: 2,
      data: { usage: { prompt_tokens: 3, completion_tokens: 4 } },
    }),
    event('step.started', { node: 'ask' }),
    event('step.completed', { node: 'ask', data: { branch: 'approved' } }),
    event('step.started', { node: 'each' }),
    event('step.iteration_started', { node: 'each' }),
    event('step.iteration_started', { node: 'each' }),
    event('step.started', { node: 'in', iteration: '0' }),
    event('step.started', { node: 'in', iteration: '1' }),
    event('step.completed', { node: 'in', iteration: '0' }),
    event('step.iteration_ended', { node: 'each' }),
    event('step.failed', {
      node: 'in',
      iteration: '1',
      data: { error: { code: 'model_cut', message: 'cut' } },
    }),
    event('step.failed', { node: 'each', data: { error: { code: 'model_cut', message: 'cut' } } }),
    event('run.failed', { data: { error: { code: 'model_cut', message: 'cut', node: 'in' } } }),
    event('run.rerun', { data: { from: 'each' } }),
    event('step.started', { node: 'each', generation: 2 }),
    event('step.completed', { node: 'each', generation: 2 }),
    event('run.completed'),
  ];
};
const upToSeq = (last: number) => advance(empty('r'), history().slice(0, last), shape);

/** What the server would say, had it folded the same. */
function answerOf(overlay: Overlay): { run: RunTold; told: OverlayTold } {
  const { seq, generation, startedAt, endedAt, status } = overlay;
  const nodes = Object.entries(overlay.nodes).map(([node, one]) => ({
    ...one,
    node,
    iterations: one.rounds.begun > 0 ? one.rounds : null,
    started_at: one.startedAt,
    ended_at: one.endedAt,
    usage: { prompt_tokens: one.tokens, completion_tokens: 0 },
  }));
  const run = {
    id: 'r',
    status: status ?? 'completed',
    generation,
    started_at: startedAt,
    ended_at: endedAt,
  };
  return {
    run: { ...run, error: overlay.error },
    told: { generation, seq, nodes, edges: [{ source: 'a', target: 'ask', branch: null }] },
  };
}

describe('a run on the drawing', () => {
  it('says what became of each node', () => {
    const failed = upToSeq(17);
    expect(failed).toMatchObject({ status: 'failed', seq: 17, error: { code: 'model_cut', node: 'in' } });
    expect(failed.nodes.a).toMatchObject({ status: 'completed', attempt: 2, tokens: 7, error: 'again' });
    expect(failed.nodes.ask).toMatchObject({ status: 'completed', branch: 'approved' });
    expect(failed.nodes.each).toMatchObject({ status: 'failed', rounds: { begun: 2, ended: 1 } });
    expect(failed.nodes.in).toMatchObject({ status: 'failed', counts: { completed: 1, failed: 1 } });
  });

  it('shows the pause between attempts, and that a person is waited for', () => {
    expect(upToSeq(3).nodes.a).toMatchObject({ status: 'pending', error: 'again', endedAt: null });
    expect(runStatus(upToSeq(3))).toBe('running');
    const waiting = upToSeq(6);
    expect([waiting.status, runStatus(waiting)]).toEqual(['running', 'waiting']);
    expect(runStatus(upToSeq(4))).toBe('running');
    expect(runStatus(upToSeq(17))).toBe('failed');
    expect(hasEnded('waiting')).toBe(false);
  });

  it('takes the status that is told, whatever kind of node it is', () => {
    const told = { seq: 1, at: '', type: 'step.started', node: 'a', iteration: '2', attempt: 1 };
    const { nodes } = advance(empty('r'), [{ ...told, status: 'waiting' }], shape);
    expect(nodes.a).toMatchObject({ status: 'waiting', counts: { waiting: 1 } });
  });

  it('counts the generations, and knows where the server has more to say', () => {
    const again = upToSeq(18);
    expect(again).toMatchObject({ generation: 2, status: 'running', error: null, endedAt: null });
    expect(upToSeq(21)).toMatchObject({
      status: 'completed',
      nodes: { each: { generation: 2, status: 'completed', rounds: { begun: 0 } } },
    });
    const turns = history().filter(isTurn);
    expect(turns.map(({ type }) => type)).toEqual(['run.failed', 'run.rerun', 'run.completed']);
  });

  it('begins as the server tells it', () => {
    const { run, told } = answerOf(upToSeq(17));
    const trial = { only: 'a', pinned: ['ask'] };
    const overlay = overlayOf({ ...run, trial }, told);
    expect(overlay).toMatchObject({ run: 'r', seq: 17, status: 'failed', trial, error: { node: 'in' } });
    expect(overlay.edges).toEqual({ 'a||ask': true });
    expect(overlay.nodes.in).toMatchObject({ status: 'failed', counts: { completed: 1, failed: 1 } });
    expect(overlay.nodes.each?.rounds).toEqual({ begun: 2, ended: 1 });
    const bare = {
      node: 'a',
      generation: 1,
      status: 'running',
      attempt: 1,
      usage: null,
      error: null,
    } as const;
    const open = overlayOf(
      { ...run, status: 'waiting', error: null },
      { ...told, nodes: [{ ...bare, started_at: null, ended_at: null }] },
    );
    expect(open).toMatchObject({ status: 'running', error: null, trial: null });
    expect(open.nodes.a).toMatchObject({ counts: {}, rounds: { begun: 0, ended: 0 }, tokens: 0 });
  });

  it('tells an earlier generation by its nodes alone', () => {
    const { run, told } = answerOf(upToSeq(17));
    const past = overlayOf({ ...run, generation: 2 }, told);
    expect(past).toMatchObject({ status: null, generation: 1, error: null, endedAt: null });
    expect(runStatus(past)).toBeNull();
  });

  it('comes to the same, wherever the server’s part ends and what is told begins', () => {
    const turn = fc.record({ iteration: fc.nat(3), isBad: fc.boolean(), retries: fc.nat(2) });
    fc.assert(
      fc.property(fc.array(turn, { maxLength: 8 }), fc.nat(60), (turns, cut) => {
        seq = 0;
        const done = new Set<number>();
        const all = [event('run.created'), event('step.started', { node: 'each' })];
        for (const { iteration, isBad, retries } of turns) {
          if (done.has(iteration)) continue;
          done.add(iteration);
          const at = { node: 'in', iteration: String(iteration) };
          for (let n = 1; n <= retries; n += 1) {
            all.push(event('step.started', { ...at, attempt: n }));
            all.push(event('step.retrying', { ...at, attempt: n }));
          }
          all.push(event('step.started', { ...at, attempt: retries + 1 }));
          all.push(event(isBad ? 'step.failed' : 'step.completed', { ...at, attempt: retries + 1 }));
        }
        const whole = advance(empty('r'), all, shape);
        const { run, told } = answerOf(advance(empty('r'), all.slice(0, cut), shape));
        const later = advance(overlayOf(run, told), all, shape);
        expect(later.nodes.in?.counts).toEqual(whole.nodes.in?.counts);
        expect(later.nodes.in?.status).toBe(whole.nodes.in?.status);
        expect(later.nodes.in?.endedAt).toBe(whole.nodes.in?.endedAt);
      }),
    );
  });

  it('takes what begins, or is skipped, for none of those that the server has counted', () => {
    const { run, told } = answerOf(upToSeq(11));
    const overlay = overlayOf(run, told);
    expect(overlay.nodes.in?.counts).toEqual({ running: 1 });
    const at = (seq: number, type: string, iteration: string, attempt: number) => ({
      seq,
      at: '',
      type,
      node: 'in',
      iteration,
      attempt,
    });
    const begun = advance(overlay, [at(12, 'step.started', '7', 1)], shape);
    expect(begun.nodes.in?.counts).toEqual({ running: 2 });
    const skipped = advance(overlay, [at(12, 'step.skipped', '7', 0)], shape);
    expect(skipped.nodes.in?.counts).toEqual({ running: 1, skipped: 1 });
    const again = advance(overlay, [at(12, 'step.retrying', '0', 1), at(13, 'step.started', '0', 2)], shape);
    expect(again.nodes.in?.counts).toEqual({ running: 1 });
  });

  it('knows pause, resume and cancel', () => {
    const states = ['run.paused', 'run.resumed', 'run.cancelled', 'run.continued'].map((type, index) => {
      const one = { seq: index + 1, at: '', type };
      return advance(empty('r'), [one], shape).status;
    });
    expect(states).toEqual(['paused', 'running', 'cancelled', 'pending']);
  });

  it('drops what a step of an earlier generation said', () => {
    const more = { seq: 30, at: '', type: 'step.started', node: 'a', generation: 2, attempt: 1 };
    expect(advance(upToSeq(17), [more], shape).nodes.a).toMatchObject({
      generation: 2,
      attempt: 1,
      tokens: 0,
    });
  });

  it('comes to the same, however the events are cut into batches and whatever comes twice', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(21)), (cuts) => {
        const all = history();
        let overlay = empty('r');
        let from = 0;
        for (const cut of cuts) {
          // From a little before the last one: events may come again.
          overlay = advance(overlay, all.slice(Math.max(0, from - 2), Math.max(from, cut)), shape);
          from = Math.max(from, cut);
        }
        overlay = advance(overlay, all, shape);
        expect(overlay).toEqual(advance(empty('r'), all, shape));
      }),
    );
  });

  it('changes no node that no event names', () => {
    const before = upToSeq(5);
    const after = advance(before, history().slice(5, 7), shape);
    expect(after.nodes.a).toBe(before.nodes.a);
    expect(advance(after, history().slice(0, 3), shape)).toBe(after);
  });
});
