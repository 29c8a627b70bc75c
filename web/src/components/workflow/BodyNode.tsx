import type { NodeProps } from '@xyflow/react';
import { memo } from 'react';
import { kindOf, sentence } from '../../model/kinds';
import { bodyOf, nodesOf } from '../../model/document';
import type { NodeData } from '../../model/graph';
import { addNode, toggleCollapsed } from '../../services/state';
import { useAct, useSeen } from '../../services/store';
import { Handles } from './Handles';
import { KindIcon } from './KindIcon';
import { NodeState } from './NodeState';
import { PinMark } from './PinMark';
import { ProblemMark } from './ProblemMark';

/** A node that holds others, with its body in place. */
export const BodyNode = memo(function BodyNode({ id, data, isConnectable }: NodeProps) {
  const { label, type, outputs, node } = data as NodeData;
  const act = useAct();
  const status = useSeen((state) => state.workflow.overlay?.nodes[id]?.status);
  const body = node ? bodyOf(node) : undefined;
  const isEmpty = !body || nodesOf(body).length === 0;
  return (
    <div
      className="node node-body"
      data-testid={id}
      data-family={kindOf(type).family}
      data-status={status}
      data-disabled={node?.disabled === true}
    >
      <div className="node-head">
        <KindIcon type={type} size={18} />
        <span className="node-label">{label}</span>
        <span className="node-says">{node ? sentence(node) : ''}</span>
        <button type="button" className="node-fold nodrag" onClick={() => act(toggleCollapsed(id))}>
          fold
        </button>
      </div>
      {isEmpty && isConnectable && (
        <button
          type="button"
          className="node-fill nodrag"
          onClick={() => act(addNode({ after: null, container: id, at: { x: 0, y: 0 } }))}
        >
          Add the first node of its body
        </button>
      )}
      {node?.disabled === true && <span className="node-out">left out</span>}
      <PinMark id={id} />
      <NodeState id={id} />
      <ProblemMark id={id} />
      <Handles outputs={outputs} />
    </div>
  );
});
