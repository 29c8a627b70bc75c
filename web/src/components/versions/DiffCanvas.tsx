import {
  Background,
  BackgroundVariant,
  Controls,
  ReactFlow,
  ReactFlowProvider,
  type Edge,
  type Node,
  type NodeProps,
} from '@xyflow/react';
import { memo, useMemo } from 'react';
import type { Compared } from '../../model/compare';
import { draw, type NodeData } from '../../model/graph';
import { kindOf, sentence } from '../../model/kinds';
import { useScheme } from '../../utils/scheme';
import { Handles } from '../workflow/Handles';
import { KindIcon } from '../workflow/KindIcon';
import { NoteNode } from '../workflow/NoteNode';
import { TerminalNode } from '../workflow/TerminalNode';

/** Both versions as one drawing: each node that differs has its colour and its word. */
export function DiffCanvas({ compared }: { compared: Compared }) {
  const scheme = useScheme();
  const { nodes, edges } = useMemo(() => drawn(compared), [compared]);
  return (
    <div className="canvas diff-canvas">
      <ReactFlowProvider>
        <ReactFlow
          nodes={nodes}
          edges={edges}
          nodeTypes={TYPES}
          colorMode={scheme}
          fitView
          fitViewOptions={{ padding: 0.1, maxZoom: 1 }}
          minZoom={0.1}
          nodesDraggable={false}
          nodesConnectable={false}
          elementsSelectable={false}
          edgesFocusable={false}
          deleteKeyCode={null}
          proOptions={{ hideAttribution: true }}
          aria-label="Drawing of what differs; the list beside it says the same"
        >
          <Background variant={BackgroundVariant.Dots} gap={24} size={1.2} />
          <Controls showInteractive={false} position="bottom-left" />
        </ReactFlow>
      </ReactFlowProvider>
    </div>
  );
}

function drawn({ document, nodes: marks, edges: edgeMarks }: Compared): { nodes: Node[]; edges: Edge[] } {
  const drawing = draw(document);
  return {
    nodes: drawing.nodes.map((node) => {
      const mark = marks[node.id];
      const said = mark ? ([mark.change, mark.fields.join(', ')] as const) : null;
      const word = said ? (said[0] === 'changed' ? `changed: ${said[1]}` : said[0]) : '';
      return {
        ...(node as unknown as Node),
        data: { ...node.data, change: mark?.change, word },
        ariaLabel: [node.ariaLabel, word].filter(Boolean).join(', '),
      };
    }),
    edges: drawing.edges.map((edge) => ({
      ...edge,
      className: [edge.className, edgeMarks[edge.id] && `edge-${edgeMarks[edge.id] ?? ''}`]
        .filter(Boolean)
        .join(' '),
    })),
  };
}

interface DiffData extends NodeData {
  change?: string;
  word: string;
}

const DiffNode = memo(function DiffNode({ data }: NodeProps) {
  const { label, type, outputs, node, change, word } = data as DiffData;
  return (
    <div className="node" data-family={kindOf(type).family} data-change={change}>
      <span className="node-sign">
        <KindIcon type={type} size={20} />
      </span>
      <span className="node-text">
        <span className="node-label">{label}</span>
        <span className="node-says">{node ? sentence(node) : ''}</span>
      </span>
      {word && <span className="diff-word">{word}</span>}
      <Handles outputs={outputs} />
    </div>
  );
});

const DiffBody = memo(function DiffBody({ data }: NodeProps) {
  const { label, type, outputs, change, word } = data as DiffData;
  return (
    <div className="node node-body" data-family={kindOf(type).family} data-change={change}>
      <div className="node-head">
        <KindIcon type={type} size={18} />
        <span className="node-label">{label}</span>
      </div>
      {word && <span className="diff-word">{word}</span>}
      <Handles outputs={outputs} />
    </div>
  );
});

const TYPES = { step: DiffNode, body: DiffBody, terminal: TerminalNode, note: NoteNode };
