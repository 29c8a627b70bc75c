import { Tooltip } from '@mantine/core';
import { IconAlertTriangleFilled } from '@tabler/icons-react';
import { shallowEqual } from 'react-redux';
import { useSeen } from '../../services/store';

/** What is wrong with a node, on the node. */
export function ProblemMark({ id }: { id: string }) {
  const found = useSeen(
    (state) =>
      state.workflow.problems.filter((problem) => problem.node === id).map((problem) => problem.message),
    shallowEqual,
  );
  if (found.length === 0) return null;
  return (
    <Tooltip label={found.join('\n')} multiline maw={360} style={{ whiteSpace: 'pre-line' }}>
      <span className="node-problem" role="img" aria-label={`${found.length} problems: ${found.join('; ')}`}>
        <IconAlertTriangleFilled size={16} aria-hidden />
      </span>
    </Tooltip>
  );
}
