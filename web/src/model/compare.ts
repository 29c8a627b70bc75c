/** Two documents as one drawing: the later one, with what is gone from the earlier one put back and marked. */
import { diff, isMove, type Diff } from './diff';
import {
  allNodes,
  bodyOf,
  branchOf,
  editGraph,
  edgesOf,
  nodesOf,
  type DefEdge,
  type DefNode,
  type Definition,
  type Graph,
} from './document';
import { edgeIds } from './graph';

export type Change = 'added' | 'removed' | 'changed' | 'moved';

export interface Compared {
  document: Definition;
  /** What became of a node; of one that is the same nothing. */
  nodes: Record<string, { change: Change; fields: string[] }>;
  /** The same of edges, by their ids in the drawing. */
  edges: Record<string, 'added' | 'removed'>;
  diff: Diff;
}

export function compared(before: Definition, after: Definition): Compared {
  const found = diff(before, after);
  const nodes: Compared['nodes'] = {};
  for (const id of found.added) nodes[id] = { change: 'added', fields: [] };
  for (const id of found.removed) nodes[id] = { change: 'removed', fields: [] };
  for (const { id, fields } of found.changed)
    nodes[id] = { change: isMove(fields) ? 'moved' : 'changed', fields };
  const edges: Compared['edges'] = {};
  const document = withEdges(withNodes(before, after, new Set(found.removed)), before);
  note(document, new Set(namesOf(before)), 'added', edges);
  note(document, new Set(namesOf(after)), 'removed', edges);
  return { document, nodes, edges, diff: found };
}

/** Puts nodes that are gone back to where they were, or to the top where what held them is gone as well. */
function withNodes(before: Definition, after: Definition, removed: ReadonlySet<string>): Definition {
  const holders = new Set(allNodes(after).flatMap(({ node }) => (bodyOf(node) ? [node.id] : [])));
  let next = after;
  for (const { node, container } of allNodes(before)) {
    if (!removed.has(node.id)) continue;
    // What was in a body that is gone comes back with it.
    if (container !== null && removed.has(container)) continue;
    const holder = container !== null && holders.has(container) ? container : null;
    next = editGraph(next, holder, (graph) => ({
      ...graph,
      nodes: [...nodesOf(graph), only(node, removed)],
    }));
  }
  return next;
}

/** A node that is gone, with what is gone with it: the rest of its body stands elsewhere now. */
function only(node: DefNode, removed: ReadonlySet<string>): DefNode {
  const body = bodyOf(node);
  if (!body) return node;
  const nodes = nodesOf(body)
    .filter(({ id }) => removed.has(id))
    .map((child) => only(child, removed));
  return {
    ...node,
    config: { ...node.config, body: { ...body, nodes, edges: among(edgesOf(body), nodes) } },
  };
}

function among(edges: DefEdge[], nodes: DefNode[]): DefEdge[] {
  const ids = new Set(nodes.map(({ id }) => id));
  return edges.filter(({ source, target }) => ids.has(source) && ids.has(target));
}

/** Puts edges that are gone back where both of their ends are drawn in one graph. */
function withEdges(document: Definition, before: Definition): Definition {
  const now = new Set(namesOf(document));
  const gone = graphsOf(before).flatMap((graph) => edgesOf(graph).filter((edge) => !now.has(nameOf(edge))));
  let next = document;
  for (const { graph, container } of containers(document)) {
    const lost = among(gone, nodesOf(graph));
    if (lost.length > 0)
      next = editGraph(next, container, (own) => ({ ...own, edges: [...edgesOf(own), ...lost] }));
  }
  return next;
}

/** Marks the edges that are not in a list. */
function note(
  document: Definition,
  known: ReadonlySet<string>,
  as: 'added' | 'removed',
  marks: Compared['edges'],
): void {
  for (const graph of graphsOf(document)) {
    const edges = edgesOf(graph);
    const ids = edgeIds(edges);
    edges.forEach((edge, index) => {
      if (!known.has(nameOf(edge))) marks[ids[index] ?? ''] = as;
    });
  }
}

const nameOf = (edge: DefEdge): string => `${edge.source}|${branchOf(edge)}|${edge.target}`;

function containers(document: Definition): { graph: Graph; container: string | null }[] {
  const bodies = allNodes(document).flatMap(({ node }) => {
    const graph = bodyOf(node);
    return graph ? [{ graph, container: node.id }] : [];
  });
  return [{ graph: document, container: null }, ...bodies];
}

const graphsOf = (document: Definition): Graph[] => containers(document).map(({ graph }) => graph);
const namesOf = (document: Definition): string[] => graphsOf(document).flatMap(edgesOf).map(nameOf);
