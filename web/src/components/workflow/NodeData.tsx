import { Alert, Loader, Select, Stack, Text } from '@mantine/core';
import { useEffect, useState } from 'react';
import { useListStepsQuery, type Step } from '../../services/api';
import { useSeen } from '../../services/store';
import { span, between } from '../../utils/time';
import { Answer } from '../approvals/Answer';
import { Failed } from '../common/Failed';
import { Status } from '../common/Status';
import { Value } from '../common/Value';
import { AgentCard } from '../agents/AgentCard';
import { isQuestion } from '../../services/api';

/** Steps are looked up again at most this often, in milliseconds. */
const LOOK_MS = 700;

/** What went into a node and what came out, in the run that is shown. */
export function NodeData({ node, run }: { node: string; run: string | null }) {
  const status = useSeen((state) => state.workflow.overlay?.nodes[node]?.status);
  const seq = useSeen((state) => (state.workflow.overlay?.nodes[node] ? state.workflow.overlay.seq : 0));
  const steps = useListStepsQuery({ id: run ?? '', limit: 1000 }, { skip: run === null });
  const [chosen, setChosen] = useState<string | null>(null);
  const { refetch } = steps;
  useEffect(() => {
    if (run === null || seq === 0) return;
    const timer = setTimeout(() => void refetch(), LOOK_MS);
    return () => clearTimeout(timer);
  }, [run, seq, status, refetch]);
  if (run === null) return <Text c="dimmed">Run the workflow to see what goes in and what comes out.</Text>;
  if (steps.isLoading) return <Loader size="sm" aria-label="The data is loading" />;
  if (!steps.data)
    return <Failed what="The data can’t be had" error={steps.error} again={() => void refetch()} />;
  const own = steps.data.items.filter((step) => step.node === node);
  const step = own.find((one) => nameOf(one) === chosen) ?? own.at(-1);
  if (!step) return <Text c="dimmed">The run has not come to this node.</Text>;
  return (
    <Stack gap="md">
      {own.length > 1 && (
        <Select
          label="Which execution"
          data={own.map((one) => ({ value: nameOf(one), label: nameOf(one) }))}
          value={nameOf(step)}
          allowDeselect={false}
          onChange={setChosen}
        />
      )}
      <StepData step={step} run={run} />
    </Stack>
  );
}

/** One step in full. */
export function StepData({ step, run }: { step: Step; run: string }) {
  const ms = between(step.started_at, step.ended_at);
  const tokens = step.usage.prompt_tokens + step.usage.completion_tokens;
  return (
    <Stack gap="md">
      <div className="facts">
        <Status of={step.status} />
        <span>attempt {step.attempt}</span>
        {ms !== null && <span>{span(ms)}</span>}
        {tokens > 0 && <span>{`${tokens} tokens${step.usage.estimated ? ' (estimated)' : ''}`}</span>}
      </div>
      {step.error && (
        <Alert color="red" variant="outline" title={step.error.code}>
          {step.error.message}
        </Alert>
      )}
      {isQuestion(step) && <Answer run={run} step={step} />}
      {step.status === 'running' && <AgentCard node={step.node} />}
      {step.input !== null && step.input !== undefined && (
        <Value name="Input" value={step.input as unknown} />
      )}
      {step.status === 'completed' && <Value name="Output" value={(step.output as unknown) ?? null} />}
      {(step.fallbacks ?? []).length > 0 && (
        <Value name="Models that gave no answer" value={step.fallbacks} />
      )}
    </Stack>
  );
}

const nameOf = (step: Step): string =>
  `generation ${step.generation}${step.iteration ? `, iteration ${step.iteration}` : ''}`;
