// @vitest-environment node
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { definition, frozen } from './arbitrary.test-data';
import { allNodes, edgesOf, type Definition } from './document';
import { draw, edgeIds, END, START } from './graph';
import { frameOf, sizeOf } from './sizes';

const CHAIN: Definition = {
  name: 'chain',
  nodes: [
    { id: 'if', type: 'condition', config: { if: 'true' } },
    { id: 'yes', type: 'wait', config: { for: '1s' } },
    { id: 'no', type: 'wait', config: { for: '1s' } },
  ],
  edges: [
    { source: 'if', target: 'yes', config: { branch: 'true' } },
    { source: 'if', target: 'no', config: { branch: 'false' } },
  ],
};

describe('a drawing', () => {
  it('has a handle for each branch, and edges at them', () => {
    const { nodes, edges } = draw(CHAIN);
    const condition = nodes.find((node) => node.id === 'if');
    expect(
      condition?.handles.filter((handle) => handle.type === 'source').map((handle) => handle.id),
    ).toEqual(['true', 'false']);
    expect(edges.find((edge) => edge.target === 'no' && edge.source === 'if')?.sourceHandle).toBe('false');
    expect(edges.find((edge) => edge.target === 'no')?.ariaLabel).toBe('Edge from if to no by “false”');
  });

  it('begins before what has nothing before it and ends behind what has nothing behind it', () => {
    const { nodes, edges } = draw(CHAIN);
    const at = (id: string) => nodes.find((node) => node.id === id)?.position.x ?? 0;
    expect(at(START)).toBeLessThan(at('if'));
    expect(at(END)).toBeGreaterThan(at('yes'));
    expect(edges.filter((edge) => edge.source === START).map((edge) => edge.target)).toEqual(['if']);
    expect(edges.filter((edge) => edge.target === END).map((edge) => edge.source)).toEqual(['yes', 'no']);
    expect(draw({ name: 'none' }).nodes).toEqual([]);
  });

  it('lays out from left to right what has no place', () => {
    const x = Object.fromEntries(draw(CHAIN).nodes.map((node) => [node.id, node.position.x]));
    expect(x.yes).toBe(x.no);
    expect(x.yes).toBeGreaterThan(x.if ?? 0);
  });

  it('leaves out edges to nowhere, and names two equal ones apart', () => {
    const odd = { ...CHAIN, edges: [...(CHAIN.edges ?? []), { source: 'if', target: 'gone' }] };
    expect(draw(odd).edges).toHaveLength(draw(CHAIN).edges.length);
    const edge = { source: 'a', target: 'b' };
    expect(edgeIds([edge, edge])).toEqual(['a||b', 'a||b|1']);
  });

  it('has parents before children, children inside their frames, and unique ids', () => {
    fc.assert(
      fc.property(definition, (document) => {
        const { nodes, edges } = draw(frozen(document));
        const seen = new Set<string>();
        for (const node of nodes) {
          expect(seen.has(node.id)).toBe(false);
          seen.add(node.id);
          if (node.parentId === undefined) continue;
          expect(seen.has(node.parentId)).toBe(true);
          const parent = nodes.find((one) => one.id === node.parentId);
          expect(node.position.x).toBeGreaterThanOrEqual(0);
          expect(node.position.x + node.width).toBeLessThanOrEqual(parent?.width ?? 0);
          expect(node.position.y + node.height).toBeLessThanOrEqual(parent?.height ?? 0);
        }
        const names = edges.map((edge) => edge.id);
        expect(new Set(names).size).toBe(names.length);
      }),
    );
  });

  it('draws every node and every edge of the document', () => {
    fc.assert(
      fc.property(definition, (document) => {
        const { nodes, edges } = draw(document);
        const all = allNodes(document);
        expect(nodes.filter((node) => node.type !== 'terminal')).toHaveLength(all.length);
        const graphs = new Set([document, ...all.map((found) => found.graph)]);
        const drawn = edges.filter((edge) => edge.className !== 'implied');
        expect(drawn).toHaveLength([...graphs].flatMap(edgesOf).length);
      }),
    );
  });

  it('hides what is inside of a folded node, and makes it small', () => {
    const loop = {
      id: 'l',
      type: 'loop',
      config: { until: 'x', max: 2, body: { nodes: [{ id: 'in', type: 'wait', config: { for: '1s' } }] } },
    };
    const { nodes } = draw({ name: 'x', nodes: [loop] }, { l: true });
    expect(nodes.find((node) => node.id === 'in')?.hidden).toBe(true);
    expect(nodes.find((node) => node.id === 'l')?.type).toBe('step');
    expect(sizeOf(loop, { l: true }).width).toBeLessThan(frameOf(loop, {}).width);
  });
});
