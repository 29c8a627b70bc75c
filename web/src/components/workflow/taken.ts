import { useCallback } from 'react';
import type { FlowEdge } from '../../model/graph';
import { END, START } from '../../model/graph';
import { useSeen } from '../../services/store';

/** Tells of an edge whether the run that is shown went over it. */
export function useTaken(): (edge: FlowEdge) => boolean {
  const nodes = useSeen((state) => state.workflow.overlay?.nodes);
  const isDone = useSeen((state) => state.workflow.overlay?.status === 'completed');
  return useCallback(
    ({ source, target, sourceHandle }) => {
      if (!nodes) return false;
      const [from, to] = [nodes[source], nodes[target]];
      const isBegun = to !== undefined && to.status !== 'skipped' && to.status !== 'pending';
      if (source === START) return isBegun;
      if (target === END) return isDone && from?.status === 'completed';
      if (!from || !isBegun) return false;
      return sourceHandle === 'error'
        ? from.status === 'failed'
        : (from.branch ?? '') === (sourceHandle ?? '');
    },
    [nodes, isDone],
  );
}
