import { useEffect } from 'react';
import { goesOn } from '../components/workflow/follow';
import { hasEnded, type RunStatus } from '../model/overlay';
import { api } from '../services/api';
import { useAct } from '../services/store';
import { live } from '../services/websocket';

/** So long what is told is gathered before anything is asked for, in milliseconds. */
const SOON_MS = 700;

/** Hears which runs begin and end: what shows them looks again. */
export function Feeds() {
  const act = useAct();
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const stop = live.watchRuns((moved) => {
      // One that had ended may be run again by somebody else.
      if (moved && !hasEnded(moved.status as RunStatus)) goesOn(moved.runId);
      timer ??= setTimeout(() => {
        timer = undefined;
        act(api.util.invalidateTags(['runs', 'questions']));
      }, SOON_MS);
    });
    return () => {
      clearTimeout(timer);
      stop();
    };
  }, [act]);
  return null;
}
