import type { NodeTypes } from '@xyflow/react';
import { BodyNode } from './BodyNode';
import { NoteNode } from './NoteNode';
import { StepNode } from './StepNode';
import { TerminalNode } from './TerminalNode';

/** How nodes are drawn: one component for each way, none for each kind. */
export const nodeTypes: NodeTypes = {
  step: StepNode,
  body: BodyNode,
  terminal: TerminalNode,
  note: NoteNode,
};
