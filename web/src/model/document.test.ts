// @vitest-environment node
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { definition, frozen } from './arbitrary.test-data';
import {
  allNodes,
  bodyOf,
  definitionOf,
  downstream,
  editNode,
  find,
  freeId,
  graphIn,
  idsOf,
  pathOf,
  upstream,
  type Definition,
} from './document';

const NESTED: Definition = {
  name: 'nested',
  nodes: [
    { id: 'a', type: 'agent', config: { agent: 'x', prompt: 'p' } },
    {
      id: 'each',
      type: 'for_each',
      config: { items: 'input', body: { nodes: [{ id: 'b', type: 'wait', config: { for: '1s' } }] } },
    },
  ],
  edges: [{ source: 'a', target: 'each' }],
};

describe('a document', () => {
  it('shows a stored workflow without what the server adds', () => {
    const stored = {
      ...NESTED,
      id: '1',
      version: 3,
      status: 'draft',
      problems: [],
      created_at: 'x',
      updated_at: 'y',
    };
    expect(definitionOf(stored)).toEqual(NESTED);
  });

  it('finds nodes with the body they are in', () => {
    expect(find(NESTED, 'b')?.container).toBe('each');
    expect(find(NESTED, 'a')?.container).toBeNull();
    expect(find(NESTED, 'nobody')).toBeUndefined();
    expect(graphIn(NESTED, 'each')?.nodes).toHaveLength(1);
    expect(graphIn(NESTED, 'a')).toBeUndefined();
    expect([...idsOf(NESTED)]).toEqual(['a', 'each', 'b']);
    expect(pathOf(NESTED, 'b')).toBe('nodes[1].config.body.nodes[0]');
    expect(pathOf(NESTED, 'nobody')).toBeNull();
  });

  it('changes one node and leaves every other as the same object', () => {
    const next = editNode(frozen(NESTED), 'b', (node) => ({ ...node, name: 'B' }));
    expect(find(next, 'b')?.node.name).toBe('B');
    expect(next.nodes?.[0]).toBe(NESTED.nodes?.[0]);
    expect(editNode(NESTED, 'nobody', (node) => ({ ...node }))).toBe(NESTED);
  });

  it('knows what leads where', () => {
    const graph = {
      nodes: [],
      edges: [
        { source: 'a', target: 'b' },
        { source: 'b', target: 'c' },
        { source: 'x', target: 'c' },
      ],
    };
    expect([...downstream(graph, 'a')].sort()).toEqual(['a', 'b', 'c']);
    expect([...upstream(graph, 'c')].sort()).toEqual(['a', 'b', 'x']);
  });

  it('gives the lowest free id', () => {
    expect(freeId(new Set(['node-1', 'node-3']))).toBe('node-2');
  });

  it('has every node once, whatever the bodies', () => {
    fc.assert(
      fc.property(definition, (document) => {
        const all = allNodes(document);
        expect(new Set(all.map(({ node }) => node.id)).size).toBe(all.length);
        for (const { node, container } of all) {
          const graph = graphIn(document, container);
          expect(graph?.nodes).toContain(node);
          expect(bodyOf(node) === undefined).toBe(node.type !== 'for_each' && node.type !== 'loop');
        }
      }),
    );
  });
});
