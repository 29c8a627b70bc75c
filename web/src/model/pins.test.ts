import { describe, expect, it } from 'vitest';
import type { Definition } from './document';
import { empty, type NodeRun, type Overlay } from './overlay';
import { canPin, isStale, pinOf, renamedPin, saidOf, trialOf, type Pins } from './pins';

const node = (id: string, more: object = {}) => ({ id, type: 'agent', config: { prompt: id }, ...more });
const DOCUMENT: Definition = {
  name: 'x',
  nodes: [
    node('a'),
    node('b'),
    node('aside'),
    { id: 'each', type: 'for_each', config: { body: { nodes: [node('in')] } } },
  ],
  edges: [
    { source: 'a', target: 'b' },
    { source: 'a', target: 'aside' },
    { source: 'b', target: 'each' },
  ],
};
const ran = (...ids: string[]): Overlay => ({
  ...empty('r'),
  nodes: Object.fromEntries(ids.map((id) => [id, { status: 'completed' } as NodeRun])),
});
const pins = (...ids: string[]): Pins =>
  Object.fromEntries(ids.map((id) => [id, pinOf(node(id), { value: `of ${id}` })]));

describe('a pin', () => {
  it('is stale once its node says something else, not when it is moved or called otherwise', () => {
    const pin = pinOf(node('a'), { value: 1 });
    expect(isStale(node('a', { name: 'first', position: { x: 1, y: 2 } }), pin)).toBe(false);
    expect(isStale(node('a', { config: { prompt: 'other' } }), pin)).toBe(true);
  });

  it('is of a node outside of bodies, and goes with its id', () => {
    expect([canPin(DOCUMENT, 'a'), canPin(DOCUMENT, 'in'), canPin(DOCUMENT, 'gone')]).toEqual([
      true,
      false,
      false,
    ]);
    const all = pins('a', 'b');
    expect(renamedPin(all, 'a', 'first')).toEqual({ b: all.b, first: all.a });
    expect(renamedPin(all, 'x', 'y')).toBe(all);
  });
});

describe('a draft that is tried', () => {
  it('takes what is pinned and still there', () => {
    expect(trialOf(DOCUMENT, pins('a', 'gone', 'in'), ran('b'), null)).toEqual({
      pins: { a: { value: 'of a' } },
    });
    expect(trialOf(DOCUMENT, {}, null, null)).toEqual({ pins: {} });
  });

  it('ends behind a node, which runs whatever is pinned', () => {
    expect(trialOf(DOCUMENT, pins('a', 'b'), ran('a'), { way: 'until', node: 'b' })).toEqual({
      pins: { a: { value: 'of a' } },
      until: 'b',
    });
  });

  it('runs one node over what the run that is shown gave before it', () => {
    expect(trialOf(DOCUMENT, pins('b'), ran('a', 'b', 'aside'), { way: 'only', node: 'each' })).toEqual({
      pins: { a: { run: 'r' }, b: { value: 'of b' } },
      only: 'each',
    });
    expect(trialOf(DOCUMENT, {}, null, { way: 'only', node: 'each' })).toEqual({ pins: {}, only: 'each' });
  });

  it('runs from a node on, and keeps all that does not follow it', () => {
    expect(trialOf(DOCUMENT, {}, ran('a', 'b', 'aside'), { way: 'from', node: 'b' })).toEqual({
      pins: { a: { run: 'r' }, aside: { run: 'r' } },
    });
  });

  it('is said in words', () => {
    expect(saidOf({ until: 'b', pinned: ['a'] })).toBe('tried: up to b, 1 pinned');
    expect(saidOf({ only: 'b', until: null })).toBe('tried: only b');
  });
});
