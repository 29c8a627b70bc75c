import { useEffect } from 'react';
import { useListStepsQuery } from '../../services/api';
import { useSeen } from '../../services/store';

const LOOK_MS = 700;

/** The steps of a run in one generation, looked up again while the run goes on. */
export function useSteps(run: string, generation: number) {
  const seq = useSeen((state) => state.workflow.overlay?.seq ?? 0);
  const steps = useListStepsQuery({ id: run, limit: 1000 });
  const { refetch } = steps;
  useEffect(() => {
    if (seq === 0) return;
    const timer = setTimeout(() => void refetch(), LOOK_MS);
    return () => clearTimeout(timer);
  }, [refetch, seq]);
  const items = (steps.data?.items ?? []).filter((step) => step.generation <= generation);
  const newest = new Map<string, number>();
  for (const step of items) {
    const name = `${step.node} ${step.iteration}`;
    newest.set(name, Math.max(newest.get(name) ?? 0, step.generation));
  }
  // What a generation kept from the one before it belongs to it, too.
  const own = items.filter((step) => newest.get(`${step.node} ${step.iteration}`) === step.generation);
  return { ...steps, steps: own, isMore: (steps.data?.next ?? null) !== null };
}
