import { useCallback } from 'react';
import { END, START, type FlowEdge } from '../../model/graph';
import { edgeName } from '../../model/overlay';
import { useSeen } from '../../services/store';

/** Tells of an edge whether the run that is shown went over it: as the server says, and by what was heard since. */
export function useTaken(): (edge: FlowEdge) => boolean {
  const nodes = useSeen((state) => state.workflow.overlay?.nodes);
  const edges = useSeen((state) => state.workflow.overlay?.edges);
  const status = useSeen((state) => state.workflow.overlay?.status);
  return useCallback(
    ({ source, target, sourceHandle }) => {
      if (!nodes || !edges) return false;
      if (edges[edgeName(source, sourceHandle, target)]) return true;
      const [from, to] = [nodes[source], nodes[target]];
      const isBegun = to !== undefined && to.status !== 'skipped' && to.status !== 'pending';
      if (source === START) return isBegun;
      if (target === END) return (status === 'completed' || status === null) && from?.status === 'completed';
      if (!from || !isBegun) return false;
      if (sourceHandle === 'error') return from.status === 'failed';
      return from.status === 'completed' && (from.branch ?? '') === (sourceHandle ?? '');
    },
    [nodes, edges, status],
  );
}
