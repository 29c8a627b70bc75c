import { Handle, Position, type NodeProps } from '@xyflow/react';
import { memo } from 'react';
import { START, type NodeData } from '../../model/graph';

/** Where a run begins, or where it ends. */
export const TerminalNode = memo(function TerminalNode({ id, data }: NodeProps) {
  const { label } = data as NodeData;
  return (
    <div className="terminal">
      {label}
      {id === START ? (
        <Handle type="source" position={Position.Right} id="" isConnectable={false} />
      ) : (
        <Handle type="target" position={Position.Left} isConnectable={false} />
      )}
    </div>
  );
});
