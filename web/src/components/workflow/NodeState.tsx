import { useEffect, useState } from 'react';
import type { NodeRun } from '../../model/overlay';
import { useSeen } from '../../services/store';
import { between, span } from '../../utils/time';
import { Status } from '../common/Status';

/** What became of a node in the run that is shown: state, attempt, how long, how many tokens, how many iterations. */
export function NodeState({ id }: { id: string }) {
  const run = useSeen((state) => state.workflow.overlay?.nodes[id]);
  const isGiven = useSeen((state) => state.workflow.overlay?.trial?.pinned?.includes(id) ?? false);
  const isOpen = run?.status === 'running' || run?.status === 'waiting';
  useTick(isOpen);
  if (!run) return null;
  const ms = between(run.startedAt, run.endedAt);
  return (
    <span className="node-state">
      <Status of={run.status} />
      {isGiven && <span>given</span>}
      {run.attempt > 1 && <span>attempt {run.attempt}</span>}
      {iterations(run)}
      {ms !== null && run.status !== 'skipped' && !isGiven && <span>{span(ms)}</span>}
      {run.tokens > 0 && <span>{run.tokens} tok</span>}
    </span>
  );
}

function iterations({ counts, rounds }: NodeRun) {
  const all = Object.values(counts).reduce((sum, count) => sum + count, 0);
  if (all > 0) {
    const { completed = 0, failed = 0 } = counts;
    return <span>{`${completed} of ${all}${failed > 0 ? `, ${failed} failed` : ''}`}</span>;
  }
  if (rounds.begun > 0) return <span>{`${rounds.ended} of ${rounds.begun} rounds`}</span>;
  return null;
}

/** Draws again each second while something is open. */
function useTick(is: boolean) {
  const [, set] = useState(0);
  useEffect(() => {
    if (!is) return;
    const timer = setInterval(() => set((n) => n + 1), 1000);
    return () => clearInterval(timer);
  }, [is]);
}
