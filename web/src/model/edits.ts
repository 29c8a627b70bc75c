/** Every change that a gesture makes, from one document to the next. Nothing is changed in place. */
import {
  allNodes,
  branchOf,
  downstream,
  editGraph,
  editGraphs,
  editNode,
  edgesOf,
  find,
  freeId,
  graphIn,
  idsOf,
  labelOf,
  nodesOf,
  type Config,
  type DefEdge,
  type DefNode,
  type Definition,
  type Graph,
  type Position,
} from './document';
import { edgeIds } from './graph';
import { kindOf, outputsOf } from './kinds';
import { layout } from './layout';
import { frameOf, sizeOf, WIDTH, type Collapsed } from './sizes';

/** What is copied: nodes with the edges among them. It travels through the clipboard as JSON. */
export interface Fragment {
  callboard: 'fragment';
  nodes: DefNode[];
  edges: DefEdge[];
}

export interface Added {
  document: Definition;
  id: string;
}

const GAP = 48;
const STEP = 104;

/** Adds a node with the lowest free `node-N`, connected to `after` where that has a way out of its own. */
export function addNode(
  document: Definition,
  what: { type?: string; at?: Position; after?: string | null; container?: string | null } = {},
): Added {
  const type = what.type ?? 'agent';
  const id = freeId(idsOf(document));
  const before = what.after ? find(document, what.after) : undefined;
  const container = before ? before.container : (what.container ?? null);
  const at = what.at ?? placeFor(graphIn(document, container) ?? document, before?.node);
  const node: DefNode = { id, type, config: kindOf(type).fresh(), position: at };
  let next = editGraph(document, container, (graph) => ({ ...graph, nodes: [...nodesOf(graph), node] }));
  if (before) next = connect(next, before.node.id, id, outputsOf(before.node)[0] ?? '');
  return { document: next, id };
}

/** A free place: to the right of the node before it, or below all others. */
function placeFor(graph: Graph, before: DefNode | undefined): Position {
  const nodes = nodesOf(graph);
  const taken = nodes.flatMap((node) => (node.position ? [node.position] : []));
  let at: Position = { x: 0, y: 0 };
  if (before?.position) at = { x: before.position.x + sizeOf(before, {}).width + GAP, y: before.position.y };
  else if (nodes.length > 0) at = { x: 0, y: Math.max(0, ...taken.map((place) => place.y)) + STEP };
  const isTaken = (place: Position) =>
    taken.some((other) => Math.abs(other.x - place.x) < WIDTH && Math.abs(other.y - place.y) < STEP - 8);
  while (isTaken(at)) at = { x: at.x, y: at.y + STEP };
  return at;
}

/** Why an edge can't be, in a sentence; null if it can. */
export function refusal(document: Definition, source: string, target: string, branch = ''): string | null {
  if (source === target) return 'A node can’t follow itself. Repeat with a loop.';
  const [from, to] = [find(document, source), find(document, target)];
  if (!from || !to) return 'This is no node that can be connected.';
  if (from.container !== to.container) return 'An edge can’t cross the border of a body.';
  const edges = edgesOf(from.graph);
  if (edges.some((edge) => edge.source === source && edge.target === target && branchOf(edge) === branch)) {
    return 'They are connected already.';
  }
  if (downstream(from.graph, target).has(source)) {
    return 'That would be a circle. Repeat with a loop.';
  }
  return null;
}

/** Connects two nodes of one graph; nothing happens where that can't be. */
export function connect(document: Definition, source: string, target: string, branch = ''): Definition {
  const from = find(document, source);
  if (!from || refusal(document, source, target, branch)) return document;
  const edge: DefEdge = branch ? { source, target, config: { branch } } : { source, target };
  return editGraph(document, from.container, (graph) => ({ ...graph, edges: [...edgesOf(graph), edge] }));
}

export function removeNodes(document: Definition, ids: Iterable<string>): Definition {
  const gone = new Set(ids);
  return editGraphs(document, (graph) => {
    const nodes = nodesOf(graph).filter((node) => !gone.has(node.id));
    if (nodes.length === nodesOf(graph).length) return graph;
    const left = edgesOf(graph).filter((edge) => !gone.has(edge.source) && !gone.has(edge.target));
    return left.length === edgesOf(graph).length ? { ...graph, nodes } : { ...graph, nodes, edges: left };
  });
}

export function removeEdges(document: Definition, ids: Iterable<string>): Definition {
  const gone = new Set(ids);
  return editGraphs(document, (graph) => {
    const edges = edgesOf(graph);
    const names = edgeIds(edges);
    const left = edges.filter((_, index) => !gone.has(names[index] ?? ''));
    return left.length === edges.length ? graph : { ...graph, edges: left };
  });
}

/** Moves nodes to where they were dropped. Places in a body are given as they are drawn inside of its frame. */
export function moveNodes(
  document: Definition,
  to: Readonly<Record<string, Position>>,
  collapsed: Collapsed = {},
): Definition {
  let next = document;
  const offsets = new Map<string, Position>();
  for (const { node, container } of allNodes(document)) {
    const at = to[node.id];
    if (!at) continue;
    let offset = { x: 0, y: 0 };
    if (container !== null) {
      const holder = find(document, container);
      offset = offsets.get(container) ?? (holder ? frameOf(holder.node, collapsed).offset : offset);
      offsets.set(container, offset);
    }
    const position = { x: Math.round(at.x - offset.x), y: Math.round(at.y - offset.y) };
    if (node.position?.x === position.x && node.position.y === position.y) continue;
    next = editNode(next, node.id, (one) => ({ ...one, position }));
    // Those beside it have no place of their own yet: they keep the one in which they are drawn.
    if (container !== null) next = pinned(next, document, container, collapsed, offset);
  }
  return next;
}

function pinned(
  next: Definition,
  before: Definition,
  container: string,
  collapsed: Collapsed,
  offset: Position,
): Definition {
  const holder = find(before, container);
  if (!holder) return next;
  const { children } = frameOf(holder.node, collapsed);
  return editGraph(next, container, (graph) => ({
    ...graph,
    nodes: nodesOf(graph).map((node) => {
      const drawn = children[node.id];
      if (node.position || !drawn) return node;
      return { ...node, position: { x: drawn.x - offset.x, y: drawn.y - offset.y } };
    }),
  }));
}

/** Lays out every graph anew. */
export function tidy(document: Definition, collapsed: Collapsed = {}): Definition {
  return editGraphs(document, (graph) => {
    const nodes = nodesOf(graph);
    if (nodes.length === 0) return graph;
    const sizes = new Map(nodes.map((node) => [node.id, sizeOf(node, collapsed)]));
    const at = layout(graph, (id) => sizes.get(id) ?? { width: WIDTH, height: STEP });
    return { ...graph, nodes: nodes.map((node) => ({ ...node, position: at[node.id] ?? { x: 0, y: 0 } })) };
  });
}

/** Sets fields of a node; what is undefined is left out. */
export function setNode(document: Definition, id: string, fields: Readonly<Partial<DefNode>>): Definition {
  return editNode(document, id, (node) => patched(node, fields));
}

export function setWorkflow(document: Definition, fields: Readonly<Partial<Definition>>): Definition {
  return patched(document, fields);
}

function patched<T extends object>(value: T, fields: Readonly<Partial<T>>): T {
  const entries = Object.entries({ ...value, ...fields }).filter(([, field]) => field !== undefined);
  return Object.fromEntries(entries) as T;
}

/** Makes a node one of another kind; edges by branches that it has no more lose their branch. */
export function setType(document: Definition, id: string, type: string): Definition {
  const found = find(document, id);
  if (!found || found.node.type === type) return document;
  const config: Config = kindOf(type).fresh();
  const next = setNode(document, id, { type, config });
  const outputs = outputsOf({ ...found.node, type });
  return editGraph(next, found.container, (graph) => ({
    ...graph,
    edges: edgesOf(graph).map((edge) => {
      if (edge.source !== id || outputs.includes(branchOf(edge))) return edge;
      const first = outputs[0] ?? '';
      return patched(edge, { config: first ? { branch: first } : undefined });
    }),
  }));
}

/** Puts a node into an edge. */
export function insertOn(document: Definition, edgeId: string, type: string, at?: Position): Added | null {
  for (const container of [null, ...allNodes(document).map((found) => found.node.id)]) {
    const graph = graphIn(document, container);
    if (!graph) continue;
    const index = edgeIds(edgesOf(graph)).indexOf(edgeId);
    const edge = edgesOf(graph)[index];
    if (!edge) continue;
    const [from, to] = [
      find(document, edge.source)?.node.position,
      find(document, edge.target)?.node.position,
    ];
    const between = from && to ? { x: (from.x + to.x) / 2, y: (from.y + to.y) / 2 + STEP } : undefined;
    const added = addNode(removeEdges(document, [edgeId]), { type, at: at ?? between, container });
    let next = connect(added.document, edge.source, added.id, branchOf(edge));
    const node = find(next, added.id)?.node;
    next = connect(next, added.id, edge.target, node ? (outputsOf(node)[0] ?? '') : '');
    return { document: next, id: added.id };
  }
  return null;
}

export function copyOf(document: Definition, ids: Iterable<string>): Fragment {
  const wanted = new Set(ids);
  const found = allNodes(document).filter(({ node }) => wanted.has(node.id));
  // A body that is copied brings its nodes along.
  const outer = found.filter(({ container }) => container === null || !isWithin(document, container, wanted));
  const chosen = new Set(outer.map(({ node }) => node.id));
  const graphs = new Set(outer.map(({ graph }) => graph));
  const edges = [...graphs].flatMap(edgesOf);
  return {
    callboard: 'fragment',
    nodes: outer.map(({ node }) => node),
    edges: edges.filter((edge) => chosen.has(edge.source) && chosen.has(edge.target)),
  };
}

function isWithin(document: Definition, id: string, wanted: ReadonlySet<string>): boolean {
  if (wanted.has(id)) return true;
  const container = find(document, id)?.container ?? null;
  return container !== null && isWithin(document, container, wanted);
}

/** Reads what was copied; null if it is something else. */
export function readFragment(text: string): Fragment | null {
  try {
    const value = JSON.parse(text) as Partial<Fragment> | null;
    const isOne = value?.callboard === 'fragment' && Array.isArray(value.nodes) && Array.isArray(value.edges);
    return isOne ? (value as Fragment) : null;
  } catch {
    return null;
  }
}

/** Puts copies beside the originals, under new ids; a label says of what. */
export function paste(
  document: Definition,
  fragment: Fragment,
  container: string | null = null,
  by: Position = { x: 32, y: 32 },
): { document: Definition; ids: string[] } {
  const taken = idsOf(document);
  const names = new Map<string, string>();
  const renamed = (node: DefNode): DefNode => {
    const id = taken.has(node.id) ? freeId(taken) : node.id;
    taken.add(id);
    names.set(node.id, id);
    const label = id === node.id ? node.name : labelOf(node);
    const position = node.position ? { x: node.position.x + by.x, y: node.position.y + by.y } : undefined;
    const copy = patched({ ...node, id }, { name: label, position });
    return inside(copy);
  };
  const inside = (node: DefNode): DefNode => {
    const body = node.config?.body as Graph | undefined;
    if (!body) return node;
    const nodes = nodesOf(body).map((child) => patched(renamed(child), { position: child.position }));
    return { ...node, config: { ...node.config, body: { ...body, nodes, ...lead(body) } } };
  };
  const lead = (graph: Graph): { edges?: DefEdge[] } =>
    graph.edges ? { edges: graph.edges.map(follow) } : {};
  const follow = (edge: DefEdge): DefEdge => ({
    ...edge,
    source: names.get(edge.source) ?? edge.source,
    target: names.get(edge.target) ?? edge.target,
  });
  const nodes = fragment.nodes.map(renamed);
  const edges = fragment.edges.map(follow);
  const next = editGraph(document, container, (graph) => ({
    ...graph,
    nodes: [...nodesOf(graph), ...nodes],
    edges: [...edgesOf(graph), ...edges],
  }));
  return { document: next, ids: nodes.map((node) => node.id) };
}
