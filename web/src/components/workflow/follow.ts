import { useEffect, useState } from 'react';
import { useStore } from 'react-redux';
import { isTurn, type Overlay } from '../../model/overlay';
import { api, isFailure } from '../../services/api';
import { advanced, overlaid, runShown, updateAgentStatus } from '../../services/state';
import { useAct, type State, type Store } from '../../services/store';
import { live, type Followed } from '../../services/websocket';

/** After something that did not answer, in milliseconds. */
const PAUSE_MS = 1000;

/**
 * Shows a run on the drawing and follows it: as it is by one request, and from there by what happens. With a workflow it hears
 * all agents of that workflow, so that a run that is shown next has lost no word.
 */
export function useFollow(run: string | null, workflow: string | null, is = true): boolean {
  const act = useAct();
  const store = useStore<State>();
  const [isConnected, setConnected] = useState(true);
  // A rerun begins behind the end of what was followed.
  const [again, setAgain] = useState(0);
  useEffect(() => {
    if (workflow === null) return;
    return live.subscribeToAgentUpdates(workflow, (update) => act(updateAgentStatus(update)));
  }, [act, workflow]);
  useEffect(() => {
    if (!is) return;
    if (store.getState().workflow.overlay?.run !== run) act(runShown(run));
    if (run === null) return;
    return follow({ id: run, workflowId: workflow }, act, setConnected);
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

function follow(run: Followed, act: Store['dispatch'], connected: (is: boolean) => void): () => void {
  let stop: () => void = () => undefined;
  let isOver = false;
  const begin = async () => {
    stop();
    const overlay = await asked(run.id, act, () => isOver, connected);
    if (!overlay || isOver) return;
    act(overlaid(overlay));
    stop = live.followRun(run, overlay.seq, {
      events: (events) => {
        act(advanced({ run: run.id, events }));
        // The server has the whole of it; what the events do not say is asked for.
        if (events.some(isTurn)) {
          act(api.util.invalidateTags(['runs', 'run', 'questions']));
          void begin();
        } else if (events.some(({ status }) => status === 'waiting' || status === 'unknown')) {
          act(api.util.invalidateTags(['questions']));
        }
      },
      words: (words) => {
        if (run.workflowId === null) act(updateAgentStatus({ ...words, runId: run.id }));
      },
      connected,
      lost: () => void begin(),
    });
  };
  void begin();
  return () => {
    isOver = true;
    stop();
  };
}

/** The overlay of now; asked for until it is had, or there is none. */
async function asked(
  run: string,
  act: Store['dispatch'],
  isOver: () => boolean,
  connected: (is: boolean) => void,
): Promise<Overlay | null> {
  for (;;) {
    const { data, error } = await act(
      api.endpoints.overlay.initiate({ run }, { forceRefetch: true, subscribe: false }),
    );
    if (data) return data;
    const status = isFailure(error) ? error.status : 0;
    if (isOver() || (status >= 400 && status < 500)) return null;
    connected(false);
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
}

const RERUN = 'callboard:rerun';

/** Says that a run that had ended goes on. */
export const goesOn = (run: string) => dispatchEvent(new CustomEvent(RERUN, { detail: run }));
