/** The definition as it is edited: JSON of which only a part is known here. Whatever is not known stays as it is. */

export interface Position {
  x: number;
  y: number;
}

export type Config = Record<string, unknown>;

export interface DefNode {
  id: string;
  type: string;
  config?: Config;
  name?: string | null;
  position?: Position | null;
  [field: string]: unknown;
}

export interface DefEdge {
  source: string;
  target: string;
  id?: string | null;
  config?: { branch?: string | null };
  [field: string]: unknown;
}

export interface Graph {
  nodes?: DefNode[];
  edges?: DefEdge[];
  output?: unknown;
  [field: string]: unknown;
}

export interface Definition extends Graph {
  name: string;
  description?: string | null;
  input?: unknown;
  settings?: Config;
  metadata?: Config;
}

export interface Problem {
  node: string | null;
  path: string;
  code: string;
  message: string;
}

/** A node with where it stands: `container` is the node whose body it is in. */
export interface Found {
  node: DefNode;
  graph: Graph;
  container: string | null;
}

export const EMPTY: Definition = { name: 'New workflow', nodes: [], edges: [] };

/** What the server adds to a definition when it shows a stored one. */
const ADDED = ['id', 'version', 'status', 'problems', 'created_at', 'updated_at'];

export function definitionOf(workflow: Record<string, unknown>): Definition {
  const fields = Object.entries(workflow).filter(([name]) => !ADDED.includes(name));
  return { name: '', ...Object.fromEntries(fields) };
}

export const nodesOf = (graph: Graph): DefNode[] => graph.nodes ?? [];
export const edgesOf = (graph: Graph): DefEdge[] => graph.edges ?? [];
export const branchOf = (edge: DefEdge): string => edge.config?.branch ?? '';
export const labelOf = (node: DefNode): string => node.name ?? node.id;

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

export function bodyOf(node: DefNode): Graph | undefined {
  const body = node.config?.body;
  return isObject(body) ? body : undefined;
}

/** Visits every node, outer ones first. */
export function walk(graph: Graph, visit: (found: Found) => void, container: string | null = null): void {
  for (const node of nodesOf(graph)) {
    visit({ node, graph, container });
    const body = bodyOf(node);
    if (body) walk(body, visit, node.id);
  }
}

export function allNodes(graph: Graph): Found[] {
  const found: Found[] = [];
  walk(graph, (one) => found.push(one));
  return found;
}

export function find(graph: Graph, id: string): Found | undefined {
  return allNodes(graph).find((found) => found.node.id === id);
}

/** Where a node stands in the document, as problems say it: `nodes[1].config.body.nodes[0]`. */
export function pathOf(graph: Graph, id: string): string | null {
  for (const [index, node] of nodesOf(graph).entries()) {
    if (node.id === id) return `nodes[${index}]`;
    const body = bodyOf(node);
    const inside = body && pathOf(body, id);
    if (inside) return `nodes[${index}].config.body.${inside}`;
  }
  return null;
}

/** The graph of a body, or the whole one. */
export function graphIn(document: Definition, container: string | null): Graph | undefined {
  if (container === null) return document;
  const found = find(document, container);
  return found && bodyOf(found.node);
}

/** Changes one node, wherever it stands; all else is the same object as before. */
export function editNode<G extends Graph>(graph: G, id: string, edit: (node: DefNode) => DefNode): G {
  return withNodes(graph, (node) =>
    node.id === id ? edit(node) : inBody(node, (body) => editNode(body, id, edit)),
  );
}

/** Changes the graph of a body, or the whole one. */
export function editGraph(
  document: Definition,
  container: string | null,
  edit: (graph: Graph) => Graph,
): Definition {
  if (container === null) return edit(document) as Definition;
  return editNode(document, container, (node) => inBody(node, edit));
}

/** Changes every graph there is, inner ones first. */
export function editGraphs<G extends Graph>(graph: G, edit: (graph: Graph) => Graph): G {
  return edit(withNodes(graph, (node) => inBody(node, (body) => editGraphs(body, edit)))) as G;
}

/** The graph with other nodes; the same object where none is another one. */
function withNodes<G extends Graph>(graph: G, edit: (node: DefNode) => DefNode): G {
  const before = nodesOf(graph);
  const nodes = before.map(edit);
  return nodes.some((node, index) => node !== before[index]) ? { ...graph, nodes } : graph;
}

function inBody(node: DefNode, edit: (body: Graph) => Graph): DefNode {
  const body = bodyOf(node);
  if (!body) return node;
  const next = edit(body);
  return next === body ? node : { ...node, config: { ...node.config, body: next } };
}

/** The lowest free `node-N`. */
export function freeId(taken: ReadonlySet<string>, stem = 'node'): string {
  for (let n = 1; ; n += 1) {
    const id = `${stem}-${n}`;
    if (!taken.has(id)) return id;
  }
}

export const idsOf = (graph: Graph): Set<string> => new Set(allNodes(graph).map((found) => found.node.id));

/** Nodes that a node leads to, itself included. */
export function downstream(graph: Graph, from: string): Set<string> {
  const reached = new Set([from]);
  const queue = [from];
  for (let id = queue.pop(); id !== undefined; id = queue.pop()) {
    for (const edge of edgesOf(graph)) {
      if (edge.source === id && !reached.has(edge.target)) {
        reached.add(edge.target);
        queue.push(edge.target);
      }
    }
  }
  return reached;
}

/** Nodes that lead to a node, itself left out. */
export function upstream(graph: Graph, to: string): Set<string> {
  const reached = new Set<string>();
  const queue = [to];
  for (let id = queue.pop(); id !== undefined; id = queue.pop()) {
    for (const edge of edgesOf(graph)) {
      if (edge.target === id && !reached.has(edge.source)) {
        reached.add(edge.source);
        queue.push(edge.source);
      }
    }
  }
  return reached;
}
