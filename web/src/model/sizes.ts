/** How large things are drawn and where their handles sit: computed, so that nothing is mounted to be measured. */
import { bodyOf, nodesOf, type DefNode, type Graph, type Position } from './document';
import { outputsOf } from './kinds';
import { placed } from './layout';

export interface Size {
  width: number;
  height: number;
}

export interface HandlePlace {
  id: string | null;
  type: 'source' | 'target';
  position: 'left' | 'right';
  x: number;
  y: number;
  width: number;
  height: number;
}

export const WIDTH = 200;
export const HEIGHT = 64;
export const HEAD = 44;
export const PAD = 24;
export const DOT = 12;
const LEAST: Size = { width: 280, height: 148 };

export type Collapsed = Readonly<Record<string, boolean>>;

/** Where the children of a body stand inside of its frame, and how large that is. */
export interface Frame extends Size {
  children: Record<string, Position>;
  /** What is added to a child's own position. */
  offset: Position;
}

export function sizeOf(node: DefNode, collapsed: Collapsed): Size {
  if (bodyOf(node) && !collapsed[node.id]) {
    const { width, height } = frameOf(node, collapsed);
    return { width, height };
  }
  const outputs = outputsOf(node).length;
  return { width: WIDTH, height: outputs > 2 ? HEIGHT + (outputs - 2) * 20 : HEIGHT };
}

/** Lays out a body inside of its frame: sizes come from the children, deepest first. */
export function frameOf(node: DefNode, collapsed: Collapsed): Frame {
  const body: Graph = bodyOf(node) ?? {};
  const nodes = nodesOf(body);
  if (nodes.length === 0) return { ...LEAST, children: {}, offset: { x: PAD, y: HEAD + PAD } };
  const sizes = new Map(nodes.map((child) => [child.id, sizeOf(child, collapsed)]));
  const at = placed(body, (id) => sizes.get(id) ?? LEAST);
  const points = nodes.map((child) => at[child.id] ?? { x: 0, y: 0 });
  const left = Math.min(...points.map((point) => point.x));
  const top = Math.min(...points.map((point) => point.y));
  const offset = { x: PAD - left, y: HEAD + PAD - top };
  const children: Record<string, Position> = {};
  let { width, height } = LEAST;
  nodes.forEach((child, index) => {
    const point = points[index] ?? { x: 0, y: 0 };
    const size = sizes.get(child.id) ?? LEAST;
    const inside = { x: point.x + offset.x, y: point.y + offset.y };
    children[child.id] = inside;
    width = Math.max(width, inside.x + size.width + PAD);
    height = Math.max(height, inside.y + size.height + PAD);
  });
  return { width, height, children, offset };
}

/** Where the handles of a node are: one in on the left, one for each way out on the right. */
export function handlesOf(outputs: readonly string[], size: Size): HandlePlace[] {
  const dot = { width: DOT, height: DOT };
  const half = DOT / 2;
  const handles: HandlePlace[] = [
    { id: null, type: 'target', position: 'left', x: -half, y: size.height / 2 - half, ...dot },
  ];
  outputs.forEach((output, index) => {
    const y = (size.height * (index + 1)) / (outputs.length + 1) - half;
    handles.push({ id: output, type: 'source', position: 'right', x: size.width - half, y, ...dot });
  });
  return handles;
}
