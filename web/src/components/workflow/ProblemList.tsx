import { IconAlertTriangleFilled } from '@tabler/icons-react';
import { shallowEqual } from 'react-redux';
import { useSeen } from '../../services/store';

/** What is wrong with a node, in words. */
export function ProblemList({ node }: { node: string }) {
  const found = useSeen(
    (state) => state.workflow.problems.filter((problem) => problem.node === node),
    shallowEqual,
  );
  if (found.length === 0) return null;
  return (
    <ul className="problems" aria-label="Problems of this node">
      {found.map((problem) => (
        <li key={`${problem.path} ${problem.code} ${problem.message}`}>
          <IconAlertTriangleFilled size={14} aria-hidden />
          <span>
            {problem.message} <code>{problem.path.replace(/^nodes\[\d+\]\.?/, '')}</code>
          </span>
        </li>
      ))}
    </ul>
  );
}
