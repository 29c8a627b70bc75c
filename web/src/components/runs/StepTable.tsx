import { Loader, Text } from '@mantine/core';
import { useVirtualizer } from '@tanstack/react-virtual';
import { useRef } from 'react';
import { select } from '../../services/state';
import { useAct } from '../../services/store';
import { between, span } from '../../utils/time';
import { Failed } from '../common/Failed';
import { Status } from '../common/Status';
import { useSteps } from './steps';

const ROW = 34;

/** Every step with what became of it; only the rows in view are mounted. */
export function StepTable({ run, generation }: { run: string; generation: number }) {
  const act = useAct();
  const scroller = useRef<HTMLDivElement>(null);
  const { steps, isLoading, error, refetch, isMore } = useSteps(run, generation);
  // eslint-disable-next-line react-hooks/incompatible-library -- its functions change by themselves; nothing here is memoised on them
  const rows = useVirtualizer({
    count: steps.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW,
    overscan: 12,
  });
  if (isLoading) return <Loader m="md" size="sm" aria-label="The steps are loading" />;
  if (error) return <Failed what="The steps can’t be had" error={error} again={() => void refetch()} />;
  if (steps.length === 0) return <Text className="run-none">Nothing has begun yet.</Text>;
  return (
    <div
      className="rows"
      ref={scroller}
      role="grid"
      aria-label="Steps"
      aria-rowcount={steps.length}
      tabIndex={0}
    >
      <div className="rows-all" style={{ height: rows.getTotalSize() }} role="rowgroup">
        {rows.getVirtualItems().map(({ index, start }) => {
          const step = steps[index];
          if (!step) return null;
          const ms = between(step.started_at, step.ended_at);
          const tokens = step.usage.prompt_tokens + step.usage.completion_tokens;
          return (
            <div
              key={index}
              className="row"
              role="row"
              aria-rowindex={index + 1}
              style={{ top: start, height: ROW }}
            >
              <span role="gridcell">
                <button type="button" className="row-open" onClick={() => act(select(step.node))}>
                  {step.node}
                </button>
                {step.iteration && <small> {step.iteration}</small>}
              </span>
              <span role="gridcell">
                <Status of={step.status} />
              </span>
              <span role="gridcell">
                {step.pinned ? 'given' : step.attempt > 1 ? `attempt ${step.attempt}` : ''}
              </span>
              <span role="gridcell">{ms === null ? '' : span(ms)}</span>
              <span role="gridcell">{tokens > 0 ? `${tokens} tokens` : ''}</span>
              <span role="gridcell" className="row-error">
                {step.error ? `${step.error.code}: ${step.error.message}` : ''}
              </span>
            </div>
          );
        })}
      </div>
      {isMore && <Text className="run-none">These are the first 1,000 steps.</Text>}
    </div>
  );
}
