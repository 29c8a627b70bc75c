import {
  Background,
  BackgroundVariant,
  MiniMap,
  ReactFlow,
  applyNodeChanges,
  type Connection,
  type Edge,
  type EdgeChange,
  type IsValidConnection,
  type Node,
  type NodeChange,
} from '@xyflow/react';
import { useCallback, useLayoutEffect, useMemo, useRef, useState } from 'react';
import { refusal } from '../../model/edits';
import type { FlowEdge } from '../../model/graph';
import type { Position } from '../../model/document';
import { moved, remove, select, updateEdge } from '../../services/state';
import { useAct, useSeen } from '../../services/store';
import { useScheme } from '../../utils/scheme';
import { isTyping } from './Builder';
import { nodeTypes } from './NodeTypes';
import { useTaken } from './taken';

interface Props {
  readOnly: boolean;
  onPalette: () => void;
  onHelp: () => void;
}

/** Below this zoom nodes show colour and state only. */
const FAR = 0.5;
const FIT = { padding: 0.08, maxZoom: 1 };

/**
 * The drawing. While a gesture lasts the canvas has a copy of its own; its end is one action and one step of undo. Only
 * what is visible is mounted, and nothing is mounted to be measured.
 */
export function Canvas({ readOnly, onPalette, onHelp }: Props) {
  const act = useAct();
  const drawn = useSeen((state) => state.workflow.nodes);
  const edgesDrawn = useSeen((state) => state.workflow.edges);
  const selected = useSeen((state) => state.workflow.selectedNode);
  const document = useSeen((state) => state.workflow.document);
  const [nodes, setNodes] = useState<Node[]>(() => drawn as unknown as Node[]);
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const [why, setWhy] = useState<string | null>(null);
  const wrapper = useRef<HTMLDivElement>(null);
  const [isSized, setSized] = useState(false);
  const scheme = useScheme();
  const taken = useTaken();

  // Without a size, as outside of a browser, nothing would be visible.
  useLayoutEffect(() => setSized((wrapper.current?.clientWidth ?? 0) > 0), []);
  // The drawing changed, or another node was selected: the copy follows before anything is shown.
  const [followed, setFollowed] = useState({ drawn, selected });
  if (followed.drawn !== drawn) {
    setNodes((before) => {
      const marked = new Set(before.filter((node) => node.selected).map((node) => node.id));
      return drawn.map((node) => ({ ...(node as unknown as Node), selected: marked.has(node.id) }));
    });
  }
  if (followed.selected !== selected) {
    setNodes((before) => {
      // One of several that are marked: they stay marked together.
      if (before.some((node) => node.selected && node.id === selected)) return before;
      return before.map((node) => mark(node, node.id === selected));
    });
  }
  if (followed.drawn !== drawn || followed.selected !== selected) setFollowed({ drawn, selected });
  const edges = useMemo<Edge[]>(
    () => edgesDrawn.map((edge) => edgeOf(edge, chosen.has(edge.id), taken(edge))),
    [edgesDrawn, chosen, taken],
  );

  const changedNodes = useCallback(
    (changes: NodeChange[]) => {
      // Sizes are computed, and what is removed is removed from the document.
      const own = changes.filter((change) => change.type === 'position' || change.type === 'select');
      if (own.length > 0) setNodes((before) => applyNodeChanges(own, before));
      const picked = own.find((change) => change.type === 'select' && change.selected);
      if (picked?.type === 'select') act(select(picked.id));
      // The end of a gesture, or an arrow key.
      const to: Record<string, Position> = {};
      for (const change of own) {
        if (change.type === 'position' && change.dragging === false && change.position)
          to[change.id] = change.position;
      }
      if (Object.keys(to).length > 0 && !readOnly) act(moved(to));
    },
    [act, readOnly],
  );
  const changedEdges = useCallback((changes: EdgeChange[]) => {
    setChosen((before) => {
      const next = new Set(before);
      for (const change of changes) {
        if (change.type === 'select') next[change.selected ? 'add' : 'delete'](change.id);
      }
      return next;
    });
  }, []);
  const connected = useCallback(
    ({ source, target, sourceHandle }: Connection) =>
      act(updateEdge({ connect: { source, target, branch: sourceHandle ?? '' } })),
    [act],
  );
  const valid = useCallback<IsValidConnection>(
    ({ source, target, sourceHandle }) => {
      const reason = refusal(document, source, target, sourceHandle ?? '');
      setWhy(reason);
      return reason === null;
    },
    [document],
  );
  const pressed = (event: React.KeyboardEvent) => {
    if (isTyping(event.target) || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === '?') onHelp();
    else if (!readOnly && (event.key === '/' || event.key === 'n' || event.key === 'N')) {
      event.preventDefault();
      onPalette();
    }
  };
  const moving = (is: boolean) => wrapper.current?.classList.toggle('is-moving', is);
  const zoomed = (zoom: number) => wrapper.current?.classList.toggle('is-far', zoom < FAR);

  return (
    // eslint-disable-next-line jsx-a11y-x/no-static-element-interactions -- keys that bubble from what has focus inside
    <div ref={wrapper} className="canvas" onKeyDown={pressed}>
      <ReactFlow
        nodes={nodes}
        edges={edges}
        nodeTypes={nodeTypes}
        colorMode={scheme}
        onlyRenderVisibleElements={isSized}
        fitView
        fitViewOptions={FIT}
        minZoom={0.1}
        maxZoom={2}
        snapToGrid
        snapGrid={[8, 8]}
        nodesDraggable={!readOnly}
        nodesConnectable={!readOnly}
        deleteKeyCode={readOnly ? null : ['Delete', 'Backspace']}
        onNodesChange={changedNodes}
        onEdgesChange={changedEdges}
        onDelete={({ nodes: gone, edges: cut }) =>
          act(remove({ nodes: gone.map((node) => node.id), edges: cut.map((edge) => edge.id) }))
        }
        onConnect={connected}
        onConnectEnd={() => setTimeout(() => setWhy(null), 2500)}
        isValidConnection={valid}
        onPaneClick={() => act(select(null))}
        onMoveStart={() => moving(true)}
        onMoveEnd={(_, { zoom }) => {
          moving(false);
          zoomed(zoom);
        }}
        onInit={(flow) => zoomed(flow.getZoom())}
        proOptions={{ hideAttribution: true }}
        aria-label="Drawing of the workflow; the outline beside it holds the same"
      >
        <Background variant={BackgroundVariant.Dots} gap={24} size={1.2} />
        <MiniMap
          style={{ width: 150, height: 100 }}
          pannable
          zoomable
          nodeClassName={(node) => `mini mini-${node.type ?? ''}`}
        />
      </ReactFlow>
      {why && (
        <div className="canvas-why" role="status">
          {why}
        </div>
      )}
    </div>
  );
}

const mark = (node: Node, selected: boolean): Node =>
  (node.selected ?? false) === selected ? node : { ...node, selected };

function edgeOf(edge: FlowEdge, selected: boolean, taken: boolean): Edge {
  const { label, ...rest } = edge;
  return {
    ...rest,
    label,
    selected,
    className: [edge.className, taken && 'taken'].filter(Boolean).join(' '),
  };
}
