import { useEffect, useState } from 'react';
import type { RunEvent } from '../../model/overlay';
import { useGetHistoryQuery } from '../../services/api';
import { runAsOf } from '../../services/state';
import { useAct, useSeen } from '../../services/store';

/** The generation of a run that is shown: the newest, unless an earlier one was chosen. */
export function useGeneration(run: string) {
  const act = useAct();
  const seen = useSeen((state) => state.workflow.overlay?.generation ?? 1);
  const [newest, setNewest] = useState(seen);
  const [chosen, setChosen] = useState<number | null>(null);
  if (seen > newest) setNewest(seen);
  const generation = Math.min(chosen ?? newest, newest);
  const isNewest = generation === newest;
  const history = useGetHistoryQuery({ id: run, limit: 1000 }, { skip: isNewest });
  useEffect(() => {
    if (isNewest || !history.data) return;
    const { items } = history.data as unknown as { items: RunEvent[] };
    act(runAsOf({ run, events: items, generation }));
  }, [act, generation, history.data, isNewest, run]);
  return { generation, newest, isNewest, choose: setChosen };
}
