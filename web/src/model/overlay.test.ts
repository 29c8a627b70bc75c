// @vitest-environment node
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Definition } from './document';
import { advance, counts, empty, hasEnded, runStatus, upTo, type RunEvent } from './overlay';
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
      data: { retry_at: '2027-01-01T00:00:09Z', error: { code: 'c', message: 'm' } },
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

describe('a run on the drawing', () => {
  it('says what became of each node', () => {
    const failed = upToSeq(17);
    expect(failed).toMatchObject({ status: 'failed', seq: 17, error: { code: 'model_cut', node: 'in' } });
    expect(failed.nodes.a).toMatchObject({
      status: 'completed',
      attempt: 2,
      tokens: 7,
      error: null,
      retryAt: null,
    });
    expect(failed.nodes.ask).toMatchObject({ status: 'completed', branch: 'approved' });
    expect(failed.nodes.each).toMatchObject({ status: 'failed', rounds: { begun: 2, ended: 1 } });
    const inside = failed.nodes.in;
    expect(inside && counts(inside)).toEqual({ completed: 1, failed: 1 });
    expect(inside?.status).toBe('failed');
  });

  it('shows the pause between attempts, and that a person is waited for', () => {
    expect(upToSeq(3).nodes.a).toMatchObject({
      status: 'running',
      retryAt: '2027-01-01T00:00:09Z',
      error: { code: 'c' },
    });
    const waiting = upToSeq(6);
    expect([waiting.status, runStatus(waiting)]).toEqual(['running', 'waiting']);
    expect(runStatus(upToSeq(4))).toBe('running');
    expect(runStatus(upToSeq(17))).toBe('failed');
    expect(hasEnded('waiting')).toBe(false);
  });

  it('begins a rerun from its node, inner ones included, and keeps what lies before', () => {
    const again = upToSeq(18);
    expect(Object.keys(again.nodes).sort()).toEqual(['a', 'ask']);
    expect(again).toMatchObject({ generation: 2, status: 'running', error: null, endedAt: null });
    expect(upToSeq(21)).toMatchObject({
      status: 'completed',
      nodes: { each: { generation: 2, status: 'completed' } },
    });
    expect(upTo(history(), 1)).toHaveLength(17);
    expect(upTo(history(), 2)).toHaveLength(21);
  });

  it('begins every node anew that runs again, also where all events come at once', () => {
    const chain: Definition = {
      name: 'x',
      nodes: [
        { id: 'a', type: 'agent' },
        { id: 'b', type: 'agent' },
      ],
      edges: [{ source: 'a', target: 'b' }],
    };
    const at = (type: string, node: string, generation: number, tokens = 0) =>
      event(type, { node, generation, data: { usage: { prompt_tokens: tokens, completion_tokens: 0 } } });
    seq = 0;
    const all = [
      event('run.created'),
      at('step.started', 'a', 1),
      at('step.completed', 'a', 1, 5),
      at('step.started', 'b', 1),
      at('step.completed', 'b', 1, 7),
      event('run.rerun', { data: { from: 'a' } }),
      at('step.started', 'a', 2),
      at('step.completed', 'a', 2, 11),
      at('step.started', 'b', 2),
    ];
    const { nodes } = advance(empty('r'), all, shapeOf(chain));
    expect(nodes.a).toMatchObject({ status: 'completed', tokens: 11, generation: 2 });
    expect(nodes.b).toMatchObject({ status: 'running', tokens: 0, generation: 2 });
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
