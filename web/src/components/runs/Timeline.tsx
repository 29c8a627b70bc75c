import { Loader, Text } from '@mantine/core';
import { find, labelOf } from '../../model/document';
import { select } from '../../services/state';
import { useAct, useSeen } from '../../services/store';
import { span } from '../../utils/time';
import { Failed } from '../common/Failed';
import { Status } from '../common/Status';
import { useSteps } from './steps';

/** Lanes that are drawn at most. */
const DRAWN = 400;

/** An instant; what has not ended lasts until now. */
const at = (text: string | null | undefined) => (text ? new Date(text).getTime() : Date.now());

/** When each step began and ended, one lane for each node and iteration. */
export function Timeline({ run, generation }: { run: string; generation: number }) {
  const act = useAct();
  const document = useSeen((state) => state.workflow.document);
  const selected = useSeen((state) => state.workflow.selectedNode);
  const { steps, isLoading, error, refetch } = useSteps(run, generation);
  if (isLoading) return <Loader m="md" size="sm" aria-label="The steps are loading" />;
  if (error) return <Failed what="The steps can’t be had" error={error} again={() => void refetch()} />;
  const begun = steps.filter((step) => step.started_at);
  if (begun.length === 0) return <Text className="run-none">Nothing has begun yet.</Text>;
  const first = Math.min(...begun.map((step) => at(step.started_at)));
  const last = Math.max(...begun.map((step) => at(step.ended_at)), first + 1);
  const part = (ms: number) => `${(100 * (ms - first)) / (last - first)}%`;
  return (
    <div className="timeline">
      <div className="timeline-axis" aria-hidden>
        <span>0</span>
        <span>{span((last - first) / 2)}</span>
        <span>{span(last - first)}</span>
      </div>
      <ul>
        {begun.slice(0, DRAWN).map((step) => {
          const found = find(document, step.node);
          const [start, end] = [at(step.started_at), at(step.ended_at)];
          return (
            <li key={`${step.node} ${step.iteration} ${step.generation}`}>
              <button
                type="button"
                className="lane"
                aria-current={selected === step.node}
                onClick={() => act(select(step.node))}
              >
                <span className="lane-name">
                  {found ? labelOf(found.node) : step.node}
                  {step.iteration && <small> {step.iteration}</small>}
                  {step.pinned && <small> given</small>}
                </span>
                <Status of={step.status} short />
                <span className="lane-room">
                  <span
                    className="lane-bar"
                    data-status={step.status}
                    style={{
                      left: part(start),
                      width: `max(3px, ${(100 * (end - start)) / (last - first)}%)`,
                    }}
                  />
                </span>
                <span className="lane-span">{span(end - start)}</span>
              </button>
            </li>
          );
        })}
      </ul>
      {begun.length > DRAWN && <Text className="run-none">and {begun.length - DRAWN} more: see Steps</Text>}
    </div>
  );
}
