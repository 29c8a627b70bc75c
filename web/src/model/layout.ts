/** Places nodes from left to right in the order in which they run. Bodies are closed, so each graph is laid out alone. */
import { edgesOf, nodesOf, type DefEdge, type Graph, type Position } from './document';

interface Sized {
  width: number;
  height: number;
}

const GAP_X = 48;
const GAP_Y = 40;
/** Passes in which neighbours pull each other into line. */
const PASSES = 4;

/** Positions as they are given, and computed ones for nodes that have none. */
export function placed(graph: Graph, sizeOf: (id: string) => Sized): Record<string, Position> {
  const nodes = nodesOf(graph);
  const result: Record<string, Position> = {};
  const homeless = nodes.filter((node) => !node.position);
  const tidy = homeless.length > 0 ? layout(graph, sizeOf) : {};
  const given = nodes.filter((node) => node.position);
  // What has no place stands below what has one.
  const below = given.length > 0 ? bottom(given.map((node) => [node.position, sizeOf(node.id)])) : 0;
  for (const node of nodes) {
    const at = tidy[node.id] ?? { x: 0, y: 0 };
    result[node.id] = node.position
      ? { x: node.position.x, y: node.position.y }
      : { x: at.x, y: given.length > 0 ? at.y + below + GAP_Y : at.y };
  }
  return result;
}

function bottom(nodes: [Position | null | undefined, Sized][]): number {
  return Math.max(...nodes.map(([position, size]) => (position?.y ?? 0) + size.height));
}

/** A place for every node: a column for each step from the start, neighbours as near as they can be. */
export function layout(graph: Graph, sizeOf: (id: string) => Sized): Record<string, Position> {
  const ids = nodesOf(graph).map((node) => node.id);
  const known = new Set(ids);
  const edges = edgesOf(graph).filter((edge) => known.has(edge.source) && known.has(edge.target));
  const columns = inColumns(ids, edges);
  align(columns, edges);
  const result: Record<string, Position> = {};
  let x = 0;
  for (const column of columns) {
    const heights = column.map((id) => sizeOf(id).height);
    const total = heights.reduce((sum, height) => sum + height, 0) + GAP_Y * Math.max(0, column.length - 1);
    let y = -total / 2;
    column.forEach((id, index) => {
      result[id] = { x, y: Math.round(y / 8) * 8 };
      y += (heights[index] ?? 0) + GAP_Y;
    });
    x += Math.max(...column.map((id) => sizeOf(id).width), 0) + GAP_X;
  }
  return result;
}

/** Each node one column behind the last of those before it. What turns in a circle stays where it was met first. */
function inColumns(ids: string[], edges: DefEdge[]): string[][] {
  const column = new Map(ids.map((id) => [id, 0]));
  // Without circles each pass settles one column more, so as many passes as nodes are enough.
  for (let left = ids.length; left > 0; left -= 1) {
    let moved = false;
    for (const edge of edges) {
      const wanted = (column.get(edge.source) ?? 0) + 1;
      if (wanted < ids.length && wanted > (column.get(edge.target) ?? 0)) {
        column.set(edge.target, wanted);
        moved = true;
      }
    }
    if (!moved) break;
  }
  const columns: string[][] = [];
  for (const id of ids) (columns[column.get(id) ?? 0] ??= []).push(id);
  return Array.from(columns, (ids) => ids as string[] | undefined)
    .map((column) => column ?? [])
    .filter((column) => column.length > 0);
}

function align(columns: string[][], edges: DefEdge[]): void {
  const place = new Map<string, number>();
  const note = (column: string[]) =>
    column.forEach((id, index) => place.set(id, (index + 0.5) / column.length));
  columns.forEach(note);
  for (let pass = 0; pass < PASSES; pass += 1) {
    for (const column of pass % 2 === 0 ? columns : [...columns].reverse()) {
      const wish = new Map(column.map((id) => [id, mean(id, edges, place)]));
      column.sort((a, b) => (wish.get(a) ?? 0) - (wish.get(b) ?? 0));
      note(column);
    }
  }
}

function mean(id: string, edges: DefEdge[], place: Map<string, number>): number {
  const near = edges
    .filter((edge) => edge.source === id || edge.target === id)
    .map((edge) => place.get(edge.source === id ? edge.target : edge.source) ?? 0);
  if (near.length === 0) return place.get(id) ?? 0;
  return near.reduce((sum, at) => sum + at, 0) / near.length;
}
