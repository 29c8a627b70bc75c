/** The document as a drawing: nodes with sizes and handles, edges, and where it starts and ends. */
import {
  bodyOf,
  branchOf,
  edgesOf,
  labelOf,
  nodesOf,
  type DefEdge,
  type DefNode,
  type Definition,
  type Graph,
  type Position,
} from './document';
import { outputsOf } from './kinds';
import { placed } from './layout';
import { NOTE, notesOf, sizeOfNote, type Note } from './notes';
import { frameOf, handlesOf, sizeOf, type Collapsed, type HandlePlace, type Size } from './sizes';

export interface NodeData extends Record<string, unknown> {
  label: string;
  type: string;
  /** Ways out. */
  outputs: string[];
  /** The node of the document; nothing for start and end. */
  node: DefNode | null;
  collapsed: boolean;
}

export interface FlowNode {
  id: string;
  type: 'step' | 'body' | 'terminal' | 'note';
  position: Position;
  data: NodeData;
  width: number;
  height: number;
  measured: Size;
  handles: HandlePlace[];
  parentId?: string;
  hidden?: boolean;
  draggable?: boolean;
  deletable?: boolean;
  connectable?: boolean;
  ariaLabel?: string;
  zIndex?: number;
}

export interface FlowEdge {
  id: string;
  source: string;
  target: string;
  sourceHandle: string | null;
  targetHandle: null;
  label?: string;
  hidden?: boolean;
  deletable?: boolean;
  selectable?: boolean;
  focusable?: boolean;
  className?: string;
  ariaLabel?: string;
}

export interface Drawing {
  nodes: FlowNode[];
  edges: FlowEdge[];
}

/** No node can be called so: ids have no colon. */
export const START = 'start:';
export const END = 'end:';
const TERMINAL: Size = { width: 72, height: 36 };
const TERMINAL_GAP = 40;

/** Names an edge; the second of two that are equal gets a number. */
export function edgeIds(edges: readonly DefEdge[]): string[] {
  const seen = new Map<string, number>();
  return edges.map((edge) => {
    const name = `${edge.source}|${branchOf(edge)}|${edge.target}`;
    const count = seen.get(name) ?? 0;
    seen.set(name, count + 1);
    return count === 0 ? name : `${name}|${count}`;
  });
}

export function draw(document: Definition, collapsed: Collapsed = {}): Drawing {
  const drawing: Drawing = { nodes: [], edges: [] };
  drawGraph(document, null, false, collapsed, drawing);
  if (nodesOf(document).length > 0) drawEnds(document, drawing);
  for (const note of notesOf(document)) drawing.nodes.push(drawNote(note));
  return drawing;
}

function drawGraph(
  graph: Graph,
  container: DefNode | null,
  hidden: boolean,
  collapsed: Collapsed,
  drawing: Drawing,
): void {
  const at = container
    ? frameOf(container, collapsed).children
    : placed(graph, (id) => sizeIn(graph, id, collapsed));
  const labels = new Map<string, string>();
  for (const node of nodesOf(graph)) {
    labels.set(node.id, labelOf(node));
    drawing.nodes.push(drawNode(node, at[node.id] ?? { x: 0, y: 0 }, container, hidden, collapsed));
    const body = bodyOf(node);
    if (body) drawGraph(body, node, hidden || collapsed[node.id] === true, collapsed, drawing);
  }
  const edges = edgesOf(graph);
  const ids = edgeIds(edges);
  edges.forEach((edge, index) => {
    // An edge to nowhere is a problem that `check` names; there is nothing to draw.
    if (!labels.has(edge.source) || !labels.has(edge.target)) return;
    const branch = branchOf(edge);
    const by = branch ? ` by “${branch}”` : '';
    drawing.edges.push({
      id: ids[index] ?? '',
      source: edge.source,
      target: edge.target,
      sourceHandle: branch,
      targetHandle: null,
      hidden,
      ariaLabel: `Edge from ${labels.get(edge.source) ?? ''} to ${labels.get(edge.target) ?? ''}${by}`,
    });
  });
}

function sizeIn(graph: Graph, id: string, collapsed: Collapsed): Size {
  const node = nodesOf(graph).find((one) => one.id === id);
  return node ? sizeOf(node, collapsed) : TERMINAL;
}

function drawNode(
  node: DefNode,
  position: Position,
  container: DefNode | null,
  hidden: boolean,
  collapsed: Collapsed,
): FlowNode {
  const size = sizeOf(node, collapsed);
  const outputs = outputsOf(node);
  const isCollapsed = collapsed[node.id] === true;
  const drawn: FlowNode = {
    id: node.id,
    type: bodyOf(node) && !isCollapsed ? 'body' : 'step',
    position,
    data: { label: labelOf(node), type: node.type, outputs, node, collapsed: isCollapsed },
    ...size,
    measured: size,
    handles: handlesOf(outputs, size),
    hidden,
    ariaLabel: `${labelOf(node)}, ${node.type}${node.disabled === true ? ', disabled' : ''}`,
  };
  if (container) drawn.parentId = container.id;
  return drawn;
}

/** Where a run begins and ends: before what has nothing before it, behind what has nothing behind it. */
function drawEnds(document: Definition, drawing: Drawing): void {
  const outer = drawing.nodes.filter((node) => node.parentId === undefined);
  const edges = edgesOf(document);
  const roots = outer.filter((node) => !edges.some((edge) => edge.target === node.id));
  const leaves = outer.filter((node) => !edges.some((edge) => edge.source === node.id));
  const left = Math.min(...outer.map((node) => node.position.x));
  const right = Math.max(...outer.map((node) => node.position.x + node.width));
  drawing.nodes.push(
    terminal(START, 'Start', {
      x: left - TERMINAL_GAP - TERMINAL.width,
      y: middle(roots.length ? roots : outer),
    }),
    terminal(END, 'End', { x: right + TERMINAL_GAP, y: middle(leaves.length ? leaves : outer) }),
  );
  for (const root of roots) drawing.edges.push(implied(START, root.id, 'Start', root.data.label));
  for (const leaf of leaves) {
    const edge = implied(leaf.id, END, leaf.data.label, 'End');
    drawing.edges.push({ ...edge, sourceHandle: leaf.data.outputs[0] ?? '' });
  }
}

function middle(nodes: FlowNode[]): number {
  const sum = nodes.reduce((total, node) => total + node.position.y + node.height / 2, 0);
  return Math.round(sum / nodes.length - TERMINAL.height / 2);
}

function terminal(id: string, label: string, position: Position): FlowNode {
  const dot = handlesOf([''], TERMINAL).filter((handle) => (handle.type === 'source') === (id === START));
  return {
    id,
    type: 'terminal',
    position,
    data: { label, type: id, outputs: [''], node: null, collapsed: false },
    ...TERMINAL,
    measured: TERMINAL,
    handles: dot,
    draggable: false,
    deletable: false,
    connectable: false,
    ariaLabel: label,
  };
}

/** A note, behind everything else. */
function drawNote(note: Note): FlowNode {
  const size = sizeOfNote(note);
  return {
    id: NOTE + note.id,
    type: 'note',
    position: note.position,
    data: { label: note.text, type: NOTE, outputs: [], node: null, collapsed: false },
    ...size,
    measured: size,
    handles: [],
    connectable: false,
    zIndex: -1,
    ariaLabel: `Note: ${note.text}`,
  };
}

function implied(source: string, target: string, from: string, to: string): FlowEdge {
  return {
    id: `${source}|${target}`,
    source,
    target,
    sourceHandle: '',
    targetHandle: null,
    deletable: false,
    selectable: false,
    focusable: false,
    className: 'implied',
    ariaLabel: `Edge from ${from} to ${to}`,
  };
}
