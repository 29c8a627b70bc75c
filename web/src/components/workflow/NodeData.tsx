import { Alert, Loader, Select, Stack, Text } from '@mantine/core';
import { useEffect, useState } from 'react';
import type { Trying } from '../../model/pins';
import { isQuestion, useListStepsQuery, type Step } from '../../services/api';
import { useSeen } from '../../services/store';
import { span, between } from '../../utils/time';
import { Answer } from '../approvals/Answer';
import { Failed } from '../common/Failed';
import { Status } from '../common/Status';
import { Value } from '../common/Value';
import { AtWork } from '../agents/AtWork';
import { NodePin } from './NodePin';

/** Steps are looked up again at most this often, in milliseconds. */
const LOOK_MS = 700;

interface Props {
  node: string;
  run: string | null;
  readOnly: boolean;
  onTry?: (trying: Trying) => void;
}

/** What is given to a node and what it gave, in the run that is shown. */
export function NodeData({ node, run, readOnly, onTry }: Props) {
  const { own, isLoading, error, refetch } = useOwnSteps(node, run);
  const [chosen, setChosen] = useState<string | null>(null);
  const step = own.find((one) => nameOf(one) === chosen) ?? own.at(-1);
  return (
    <Stack gap="md">
      {!readOnly && <NodePin key={node} node={node} step={step} run={run} onTry={onTry} />}
      {run === null && <Text c="dimmed">Run the workflow to see what goes in and what comes out.</Text>}
      {isLoading && <Loader size="sm" aria-label="The data is loading" />}
      {error !== undefined && (
        <Failed what="The data can’t be had" error={error} again={() => void refetch()} />
      )}
      {run !== null && !isLoading && error === undefined && !step && (
        <Text c="dimmed">The run has not come to this node.</Text>
      )}
      {own.length > 1 && step && (
        <Select
          label="Which execution"
          data={own.map((one) => ({ value: nameOf(one), label: nameOf(one) }))}
          value={nameOf(step)}
          allowDeselect={false}
          onChange={setChosen}
        />
      )}
      {step && run !== null && <StepData step={step} run={run} />}
    </Stack>
  );
}

/** Its steps in a run, looked up again while that goes on. */
function useOwnSteps(node: string, run: string | null) {
  const status = useSeen((state) => state.workflow.overlay?.nodes[node]?.status);
  const seq = useSeen((state) => (state.workflow.overlay?.nodes[node] ? state.workflow.overlay.seq : 0));
  const steps = useListStepsQuery({ id: run ?? '', node, limit: 1000 }, { skip: run === null });
  const { refetch } = steps;
  useEffect(() => {
    if (run === null || seq === 0) return;
    const timer = setTimeout(() => void refetch(), LOOK_MS);
    return () => clearTimeout(timer);
  }, [run, seq, status, refetch]);
  const own = (run === null ? undefined : steps.currentData?.items) ?? [];
  return { own, isLoading: steps.isLoading, error: steps.error, refetch };
}

/** One step in full. */
export function StepData({ step, run }: { step: Step; run: string }) {
  const ms = between(step.started_at, step.ended_at);
  const tokens = step.usage.prompt_tokens + step.usage.completion_tokens;
  return (
    <Stack gap="md">
      <div className="facts">
        <Status of={step.status} />
        {step.pinned && <span>its output was given</span>}
        <span>attempt {step.attempt}</span>
        {ms !== null && <span>{span(ms)}</span>}
        {tokens > 0 && <span>{`${tokens} tokens${step.usage.estimated ? ' (estimated)' : ''}`}</span>}
      </div>
      {step.error && (
        <Alert color="red" variant="outline" title={step.error.code}>
          {step.error.message}
        </Alert>
      )}
      {isQuestion(step) && <Answer run={run} asked={step} isUnknown={step.status === 'unknown'} />}
      {step.status === 'running' && <AtWork node={step.node} />}
      {step.input !== null && step.input !== undefined && (
        <Value name="Input" value={step.input as unknown} run={run} />
      )}
      {step.status === 'completed' && (
        <Value name="Output" value={(step.output as unknown) ?? null} run={run} />
      )}
      {(step.fallbacks ?? []).length > 0 && (
        <Value name="Models that gave no answer" value={step.fallbacks} />
      )}
    </Stack>
  );
}

const nameOf = (step: Step): string =>
  `generation ${step.generation}${step.iteration ? `, iteration ${step.iteration}` : ''}`;
