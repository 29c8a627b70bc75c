import { useEffect, useState } from 'react';
import { useOverlayQuery } from '../../services/api';
import { overlaid } from '../../services/state';
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
  const past = useOverlayQuery({ run, generation }, { skip: isNewest });
  useEffect(() => {
    if (!isNewest && past.data) act(overlaid(past.data));
  }, [act, isNewest, past.data]);
  return { generation, newest, isNewest, choose: setChosen };
}
