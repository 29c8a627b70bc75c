import type { NodeProps } from '@xyflow/react';
import { memo } from 'react';
import { holds, kindOf, sentence } from '../../model/kinds';
import { bodyOf } from '../../model/document';
import type { NodeData } from '../../model/graph';
import { toggleCollapsed } from '../../services/state';
import { useAct, useSeen } from '../../services/store';
import { Handles } from './Handles';
import { KindIcon } from './KindIcon';
import { NodeState } from './NodeState';
import { PinMark } from './PinMark';
import { ProblemMark } from './ProblemMark';

/** A node: what it is called, what it does, and what became of it in the run that is shown. */
export const StepNode = memo(function StepNode({ id, data }: NodeProps) {
  const { label, type, outputs, node } = data as NodeData;
  const act = useAct();
  const status = useSeen((state) => state.workflow.overlay?.nodes[id]?.status);
  const said = useSeen((state) => state.workflow.agents.find((agent) => agent.node === id)?.said);
  const isBody = node !== null && bodyOf(node) !== undefined;
  const words = status === 'running' && said ? said.slice(-90) : null;
  return (
    <div
      className="node"
      data-testid={id}
      data-family={kindOf(type).family}
      data-status={status}
      data-disabled={node?.disabled === true}
    >
      <span className="node-sign">
        <KindIcon type={type} size={20} />
      </span>
      <span className="node-text">
        <span className="node-label">{label}</span>
        <span className={words ? 'node-says is-said' : 'node-says'}>
          {words ?? (node ? sentence(node) : '')}
        </span>
      </span>
      {isBody && (
        <button type="button" className="node-fold nodrag" onClick={() => act(toggleCollapsed(id))}>
          open, {holds(node)}
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
