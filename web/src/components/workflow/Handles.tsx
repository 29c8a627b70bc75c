import { Handle, Position } from '@xyflow/react';

/** The way in, and the ways out with their names. Their places are those that `model/sizes` computes. */
export function Handles({ outputs }: { outputs: string[] }) {
  return (
    <>
      <Handle type="target" position={Position.Left} />
      {outputs.map((output, index) => {
        const top = `${(100 * (index + 1)) / (outputs.length + 1)}%`;
        return (
          <Handle key={output} type="source" id={output} position={Position.Right} style={{ top }}>
            {output && <span className="handle-name">{output}</span>}
          </Handle>
        );
      })}
    </>
  );
}
