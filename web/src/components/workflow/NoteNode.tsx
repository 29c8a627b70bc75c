import type { NodeProps } from '@xyflow/react';
import { memo } from 'react';
import type { NodeData } from '../../model/graph';

/** A note: words on the drawing, for people. They are written in the panel. */
export const NoteNode = memo(function NoteNode({ data }: NodeProps) {
  const { label } = data as NodeData;
  return <div className="note">{label === '' ? <em>an empty note</em> : label}</div>;
});
