import { useEffect } from 'react';
import { api, useListRunsQuery } from '../../services/api';
import { useAct } from '../../services/store';
import { live } from '../../services/websocket';

/** Open runs whose workflows are listened to. */
const OPEN = 100;
/** So long what is told is gathered before the questions are looked up, in milliseconds. */
const SOON_MS = 300;

/** Looks the questions up again when a step begins to wait, or waits no longer. */
export function useAsked(): void {
  const act = useAct();
  const open = useListRunsQuery({ status: ['running', 'waiting', 'pending'], limit: OPEN });
  const all = open.data?.items.flatMap((run) => run.workflow_id ?? []) ?? [];
  const ids = [...new Set(all)].sort().join(' ');
  useEffect(() => {
    if (ids === '') return;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const stops = ids.split(' ').map((id) =>
      live.watchSteps(id, (step) => {
        if (step && (step.status === undefined || step.status === 'running')) return;
        timer ??= setTimeout(() => {
          timer = undefined;
          act(api.util.invalidateTags(['questions']));
        }, SOON_MS);
      }),
    );
    return () => {
      clearTimeout(timer);
      for (const stop of stops) stop();
    };
  }, [act, ids]);
}
