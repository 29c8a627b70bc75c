import { useEffect, useState } from 'react';
import { useStore } from 'react-redux';
import { api } from '../../services/api';
import { advanced, runShown, updateAgentStatus } from '../../services/state';
import { useAct, type State } from '../../services/store';
import { live } from '../../services/websocket';

/** Shows a run on the drawing and follows it; from its beginning, so a page that is loaded again has all of it. */
export function useFollow(run: string | null, workflow: string | null, is = true): boolean {
  const act = useAct();
  const store = useStore<State>();
  const [isConnected, setConnected] = useState(true);
  // A rerun begins behind the end of what was followed.
  const [again, setAgain] = useState(0);
  useEffect(() => {
    if (!is) return;
    if (store.getState().workflow.overlay?.run !== run) act(runShown(run));
    if (run === null) return;
    const from = store.getState().workflow.overlay?.seq ?? 0;
    const stop = live.followRun({ id: run, workflowId: workflow }, from, {
      events: (events) => {
        act(advanced({ run, events }));
        if (events.some((event) => ENDS.includes(event.type))) act(api.util.invalidateTags(['runs', 'run']));
      },
      connected: setConnected,
    });
    const silent = live.subscribeToAgentUpdates(workflow ?? '', (update) => act(updateAgentStatus(update)));
    return () => {
      stop();
      silent();
    };
  }, [act, again, is, run, store, workflow]);
  useEffect(() => {
    const rerun = (event: Event) => {
      if ((event as CustomEvent<string>).detail === run) setAgain((n) => n + 1);
    };
    addEventListener(RERUN, rerun);
    return () => removeEventListener(RERUN, rerun);
  }, [run]);
  return isConnected;
}

const ENDS = ['run.completed', 'run.failed', 'run.cancelled'];
const RERUN = 'callboard:rerun';

/** Says that a run that had ended goes on. */
export const goesOn = (run: string) => dispatchEvent(new CustomEvent(RERUN, { detail: run }));
