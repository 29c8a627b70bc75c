/** What differs between two documents, node by node. */
import { allNodes, branchOf, edgesOf, type Definition, type Graph } from './document';

export interface Diff {
  added: string[];
  removed: string[];
  /** With the fields that differ. */
  changed: { id: string; fields: string[] }[];
  edges: { added: string[]; removed: string[] };
  /** Fields of the workflow itself. */
  workflow: string[];
}

const APART = new Set(['nodes', 'edges']);

export function equal(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  if (Array.isArray(a) !== Array.isArray(b)) return false;
  const [left, right] = [a as Record<string, unknown>, b as Record<string, unknown>];
  const keys = Object.keys(left);
  return (
    keys.length === Object.keys(right).length &&
    keys.every((key) => key in right && equal(left[key], right[key]))
  );
}

export function diff(before: Definition, after: Definition): Diff {
  const [old, now] = [byId(before), byId(after)];
  const changed = [...now].flatMap(([id, node]) => {
    const was = old.get(id);
    const fields = was ? differing(was, node) : [];
    return fields.length > 0 ? [{ id, fields }] : [];
  });
  const [oldEdges, newEdges] = [edgeNames(before), edgeNames(after)];
  return {
    added: [...now.keys()].filter((id) => !old.has(id)),
    removed: [...old.keys()].filter((id) => !now.has(id)),
    changed,
    edges: {
      added: newEdges.filter((edge) => !oldEdges.includes(edge)),
      removed: oldEdges.filter((edge) => !newEdges.includes(edge)),
    },
    workflow: differing(before, after).filter((field) => !APART.has(field)),
  };
}

/** Whether only its place on the drawing differs. */
export const isMove = (fields: string[]): boolean => fields.length === 1 && fields[0] === 'position';

/** The difference in lines for people. */
export function told(diff: Diff): string[] {
  const fields = (list: string[]) => (list.length > 0 ? ` (${list.join(', ')})` : '');
  return [
    ...diff.added.map((id) => `node ${id} added`),
    ...diff.removed.map((id) => `node ${id} removed`),
    ...diff.changed.map(({ id, fields: list }) =>
      isMove(list) ? `node ${id} moved` : `node ${id} changed${fields(list)}`,
    ),
    ...diff.edges.added.map((edge) => `edge ${edge} added`),
    ...diff.edges.removed.map((edge) => `edge ${edge} removed`),
    ...diff.workflow.map((field) => `workflow: ${field} changed`),
  ];
}

/** Nodes without their bodies: what changed in there is told of the nodes in there. */
function byId(document: Definition): Map<string, Record<string, unknown>> {
  return new Map(
    allNodes(document).map(({ node, container }) => {
      const body = node.config?.body as Graph | undefined;
      const config = body ? { ...node.config, body: { output: body.output } } : node.config;
      return [node.id, { ...node, config, container }];
    }),
  );
}

function differing(a: Record<string, unknown>, b: Record<string, unknown>): string[] {
  const names = new Set([...Object.keys(a), ...Object.keys(b)]);
  return [...names].filter((name) => !equal(a[name], b[name]));
}

function edgeNames(document: Definition): string[] {
  const graphs = new Set<Graph>([document, ...allNodes(document).map((found) => found.graph)]);
  return [...graphs]
    .flatMap(edgesOf)
    .map((edge) => `${edge.source} → ${edge.target}${branchOf(edge) ? ` (${branchOf(edge)})` : ''}`);
}
