// @vitest-environment node
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { definition, frozen } from './arbitrary.test-data';
import { allNodes, branchOf, edgesOf, find, idsOf, type Definition } from './document';
import * as edits from './edits';
import { draw, edgeIds } from './graph';

const TWO: Definition = {
  name: 'two',
  nodes: [
    { id: 'a', type: 'agent', config: {}, position: { x: 0, y: 0 } },
    { id: 'b', type: 'agent', config: {}, position: { x: 300, y: 0 } },
  ],
  edges: [{ source: 'a', target: 'b' }],
};
const LOOP: Definition = {
  name: 'loop',
  nodes: [
    {
      id: 'l',
      type: 'loop',
      position: { x: 0, y: 0 },
      config: {
        until: 'true',
        body: {
          nodes: [
            { id: 'in', type: 'wait', config: { for: '1s' } },
            { id: 'next', type: 'wait', config: { for: '1s' } },
          ],
          edges: [{ source: 'in', target: 'next' }],
        },
      },
    },
    { id: 'out', type: 'wait', config: { for: '1s' }, position: { x: 900, y: 0 } },
  ],
  edges: [{ source: 'l', target: 'out' }],
};

describe('edits', () => {
  it('adds a node behind another, connected and in a place of its own', () => {
    const { document, id } = edits.addNode(frozen(TWO), { after: 'a' });
    expect(id).toBe('node-1');
    expect(edgesOf(document)).toContainEqual({ source: 'a', target: 'node-1' });
    const at = find(document, id)?.node.position;
    expect(at && (at.x !== 300 || at.y !== 0)).toBe(true);
  });

  it('adds behind a branch, inside of the body where the node before it is, and at a given place', () => {
    const { document } = edits.addNode(
      { name: 'x', nodes: [{ id: 'if', type: 'condition' }] },
      { after: 'if' },
    );
    expect(branchOf(edgesOf(document)[0] ?? { source: '', target: '' })).toBe('true');
    const inside = edits.addNode(frozen(LOOP), { after: 'next' });
    expect(find(inside.document, inside.id)?.container).toBe('l');
    const first = edits.addNode(LOOP, { container: 'l', at: { x: 5, y: 6 }, type: 'signal' });
    expect(find(first.document, first.id)?.node).toMatchObject({ type: 'signal', position: { x: 5, y: 6 } });
    expect(edits.addNode({ name: 'x' }).document.nodes).toHaveLength(1);
    expect(edits.addNode(edits.addNode({ name: 'x' }).document).document.nodes).toHaveLength(2);
  });

  it('says why an edge can’t be', () => {
    expect(edits.refusal(TWO, 'a', 'a')).toMatch(/loop/);
    expect(edits.refusal(TWO, 'a', 'gone')).toMatch(/no node/);
    expect(edits.refusal(TWO, 'a', 'b')).toMatch(/already/);
    expect(edits.refusal(TWO, 'b', 'a')).toMatch(/circle/);
    expect(edits.refusal(LOOP, 'in', 'out')).toMatch(/border/);
    expect(edits.refusal(TWO, 'a', 'b', 'error')).toBeNull();
    expect(edits.connect(TWO, 'b', 'a')).toBe(TWO);
  });

  it('removes nodes with their edges, bodies with what is inside, edges by their names', () => {
    expect(edits.removeNodes(frozen(TWO), ['b'])).toEqual({ ...TWO, nodes: [TWO.nodes?.[0]], edges: [] });
    expect([...idsOf(edits.removeNodes(LOOP, ['l']))]).toEqual(['out']);
    expect([...idsOf(edits.removeNodes(LOOP, ['in']))]).toEqual(['l', 'next', 'out']);
    expect(edits.removeNodes(TWO, ['nobody'])).toBe(TWO);
    const [name = ''] = edgeIds(edgesOf(TWO));
    expect(edgesOf(edits.removeEdges(TWO, [name]))).toEqual([]);
    expect(edits.removeEdges(TWO, ['none'])).toBe(TWO);
  });

  it('moves a node to where it was dropped, also inside of a frame', () => {
    const next = edits.moveNodes(frozen(TWO), { a: { x: 10.4, y: 20.6 } });
    expect(find(next, 'a')?.node.position).toEqual({ x: 10, y: 21 });
    const before = draw(LOOP).nodes.find((node) => node.id === 'next');
    const to = { x: (before?.position.x ?? 0) + 64, y: (before?.position.y ?? 0) + 32 };
    const moved = edits.moveNodes(frozen(LOOP), { next: to });
    expect(draw(moved).nodes.find((node) => node.id === 'next')?.position).toEqual(to);
    expect(find(moved, 'in')?.node.position).toBeDefined();
  });

  it('sets fields and leaves out what is emptied', () => {
    const named = edits.setNode(TWO, 'a', { name: 'A', timeout: '3s' });
    expect(find(named, 'a')?.node).toMatchObject({ name: 'A', timeout: '3s' });
    expect(find(edits.setNode(named, 'a', { timeout: undefined }), 'a')?.node).not.toHaveProperty('timeout');
    expect(edits.setWorkflow(TWO, { description: 'd' }).description).toBe('d');
  });

  it('makes a node one of another kind and keeps its edges', () => {
    const next = edits.setType(TWO, 'a', 'condition');
    expect(find(next, 'a')?.node).toMatchObject({ type: 'condition', config: { if: '' } });
    expect(edgesOf(next)).toEqual([{ source: 'a', target: 'b', config: { branch: 'true' } }]);
    expect(edgesOf(edits.setType(next, 'a', 'wait'))).toEqual([{ source: 'a', target: 'b' }]);
    expect(edits.setType(TWO, 'a', 'agent')).toBe(TWO);
  });

  it('puts a node into an edge', () => {
    const [name = ''] = edgeIds(edgesOf(TWO));
    const added = edits.insertOn(TWO, name, 'wait');
    expect(edgesOf(added?.document ?? TWO)).toEqual([
      { source: 'a', target: 'node-1' },
      { source: 'node-1', target: 'b' },
    ]);
    const inside = edits.insertOn(LOOP, 'in||next', 'condition', { x: 1, y: 1 });
    expect(find(inside?.document ?? LOOP, 'node-1')?.container).toBe('l');
    expect(edits.insertOn(TWO, 'none', 'wait')).toBeNull();
  });

  it('copies nodes with the edges among them, and pastes them under new ids', () => {
    const fragment = edits.copyOf(TWO, ['a', 'b']);
    const { document, ids } = edits.paste(frozen(TWO), frozen(fragment));
    expect(ids).toEqual(['node-1', 'node-2']);
    expect(edgesOf(document)).toContainEqual({ source: 'node-1', target: 'node-2' });
    expect(find(document, 'node-1')?.node.name).toBe('a');
    expect(edits.readFragment(JSON.stringify(fragment))).toEqual(fragment);
    expect(edits.readFragment('hello')).toBeNull();
    expect(edits.readFragment('{}')).toBeNull();
  });

  it('copies a body with what is inside, once', () => {
    const fragment = edits.copyOf(LOOP, ['l', 'in']);
    expect(fragment.nodes.map((node) => node.id)).toEqual(['l']);
    const { document } = edits.paste(LOOP, fragment);
    expect(allNodes(document)).toHaveLength(7);
    expect(edits.paste({ name: 'other' }, fragment).ids).toEqual(['l']);
    expect(edits.paste(LOOP, edits.copyOf(TWO, ['a']), 'l').document.nodes).toHaveLength(2);
  });

  it('tidies every graph, and changes nothing but places', () => {
    fc.assert(
      fc.property(definition, (document) => {
        const next = edits.tidy(frozen(document));
        for (const { node } of allNodes(next)) {
          expect(node.position).toBeDefined();
          const before = find(document, node.id)?.node;
          expect({ ...node, position: 0, config: 0 }).toEqual({ ...before, position: 0, config: 0 });
        }
      }),
    );
  });

  it('leaves ids unique and edges whole, whatever is pasted and removed', () => {
    fc.assert(
      fc.property(definition, fc.nat(), (document, choice) => {
        const ids = [...idsOf(document)];
        const chosen = ids.filter((_, index) => ((choice >> (index % 30)) & 1) === 1);
        const { document: pasted } = edits.paste(frozen(document), edits.copyOf(document, chosen));
        const all = allNodes(pasted).map(({ node }) => node.id);
        expect(new Set(all).size).toBe(all.length);
        const left = edits.removeNodes(frozen(pasted), chosen);
        const graphs = new Set([left, ...allNodes(left).map((found) => found.graph)]);
        for (const graph of graphs) {
          const own = new Set((graph.nodes ?? []).map((node) => node.id));
          for (const edge of edgesOf(graph)) expect(own.has(edge.source) && own.has(edge.target)).toBe(true);
        }
      }),
    );
  });
});
