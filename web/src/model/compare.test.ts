import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { definition } from './arbitrary.test-data';
import { compared } from './compare';
import { diff, told } from './diff';
import { allNodes, find, type Definition } from './document';
import { draw } from './graph';
import { folded, lineDiff } from './lines';

const node = (id: string, more: object = {}) => ({ id, type: 'wait', ...more });
const holding = (id: string, nodes: object[], edges: object[] = []) =>
  ({ id, type: 'loop', config: { body: { nodes, edges } } }) as never;

describe('two documents on one drawing', () => {
  const before: Definition = {
    name: 'x',
    nodes: [
      node('a', { position: { x: 0, y: 0 } }),
      node('b'),
      node('gone'),
      holding('body', [node('in'), node('lost')], [{ source: 'in', target: 'lost' }]),
      holding('old', [node('first'), node('second'), node('moves')], [{ source: 'first', target: 'second' }]),
    ],
    edges: [
      { source: 'a', target: 'gone' },
      { source: 'gone', target: 'b' },
      { source: 'a', target: 'b' },
    ],
  };
  const after: Definition = {
    name: 'x',
    nodes: [
      node('a', { position: { x: 9, y: 0 } }),
      node('b', { name: 'B' }),
      holding('body', [node('in')]),
      node('moves'),
      node('new'),
    ],
    edges: [
      { source: 'a', target: 'new' },
      { source: 'a', target: 'b' },
    ],
  };

  it('have what was added, removed, changed and moved, each with its mark', () => {
    const { document, nodes, edges } = compared(before, after);
    expect(nodes).toEqual({
      a: { change: 'moved', fields: ['position'] },
      b: { change: 'changed', fields: ['name'] },
      moves: { change: 'changed', fields: ['container'] },
      new: { change: 'added', fields: [] },
      gone: { change: 'removed', fields: [] },
      lost: { change: 'removed', fields: [] },
      old: { change: 'removed', fields: [] },
      first: { change: 'removed', fields: [] },
      second: { change: 'removed', fields: [] },
    });
    expect(find(document, 'lost')?.container).toBe('body');
    expect(find(document, 'second')?.container).toBe('old');
    expect(edges).toEqual({
      'a||new': 'added',
      'a||gone': 'removed',
      'gone||b': 'removed',
      'in||lost': 'removed',
      'first||second': 'removed',
    });
    expect(told(diff(before, after))).toContain('node a moved');
  });

  it('are all drawn, once each, whatever they are', () => {
    fc.assert(
      fc.property(definition, definition, (one, other) => {
        const { document, nodes } = compared(one, other);
        const ids = allNodes(document).map((found) => found.node.id);
        expect(new Set(ids).size).toBe(ids.length);
        const all = new Set([...allNodes(one), ...allNodes(other)].map((found) => found.node.id));
        expect(new Set(ids)).toEqual(all);
        expect(draw(document).nodes.length).toBeGreaterThanOrEqual(ids.length);
        expect(compared(other, other).nodes).toEqual({});
        expect(Object.keys(nodes).every((id) => all.has(id))).toBe(true);
      }),
      { numRuns: 60 },
    );
  });
});

describe('two texts', () => {
  const kinds = (before: string, after: string) =>
    lineDiff(before, after).map(
      ({ kind, text }) => `${{ same: ' ', added: '+', removed: '-' }[kind]}${text}`,
    );

  it('differ in lines', () => {
    expect(kinds('a\nb\nc\n', 'a\nx\nc\nd\n')).toEqual([' a', '-b', '+x', ' c', '+d']);
    expect(kinds('', 'a')).toEqual(['+a']);
    expect(kinds('a\nb', '')).toEqual(['-a', '-b']);
    expect(kinds('a\n', 'a\n')).toEqual([' a']);
    expect(lineDiff('a\nb', 'b\nc')).toEqual([
      { kind: 'removed', text: 'a', old: 1, now: null },
      { kind: 'same', text: 'b', old: 2, now: 1 },
      { kind: 'added', text: 'c', old: null, now: 2 },
    ]);
  });

  it('can both be made again of what differs, and no line is named in vain', () => {
    const text = fc.array(fc.constantFrom('a', 'b', 'c'), { maxLength: 12 }).map((lines) => lines.join('\n'));
    fc.assert(
      fc.property(text, text, (before, after) => {
        const lines = lineDiff(before, after);
        const of = (kind: string) =>
          lines
            .filter((line) => line.kind !== kind)
            .map((line) => line.text)
            .join('\n');
        expect(of('added')).toBe(before);
        expect(of('removed')).toBe(after);
      }),
    );
  });

  it('that have little in common are replaced as a whole', () => {
    const many = (letter: string) =>
      Array.from({ length: 700 }, (_, index) => `${letter}${index}`).join('\n');
    const lines = lineDiff(many('a'), many('b'));
    expect(lines.slice(0, 700).every((line) => line.kind === 'removed')).toBe(true);
    expect(lines).toHaveLength(1400);
  });

  it('are folded where they are the same', () => {
    const lines = lineDiff('1\n2\n3\n4\n5\n6\n7\n8\n9', '1\n2\n3\n4\n5\n6\n7\n8\nx');
    expect(folded(lines, 2).map((line) => ('lines' in line ? line.lines.length : line.text))).toEqual([
      6,
      '7',
      '8',
      '9',
      'x',
    ]);
    expect(folded(lines, 5).every((line) => line.kind !== 'fold')).toBe(true);
  });
});
