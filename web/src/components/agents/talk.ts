import { useCallback, useEffect, useRef, useState } from 'react';
import { write } from '../../model/lossless';
import { hasEnded, isTurn } from '../../model/overlay';
import { asking, promptOf, type Turn } from '../../model/talk';
import { api, sentenceOf, useCancelRunMutation, useStartRunMutation, type Run } from '../../services/api';
import { useAct, type Store } from '../../services/store';
import { live } from '../../services/websocket';

/** A talk with an agent: what was asked and answered, and the ways to ask and to stop. */
export function useTalk(agent: string) {
  const act = useAct();
  const [turns, setTurns] = useState<Turn[]>([]);
  const [start] = useStartRunMutation();
  const [cancel] = useCancelRunMutation();
  const stop = useRef<() => void>(() => undefined);
  useEffect(() => () => stop.current(), []);
  const last = turns.at(-1);
  const isBusy = last?.answer === null;
  const change = useCallback((fields: (turn: Turn) => Partial<Turn>) => {
    setTurns((before) =>
      before.map((turn, index) => (index === before.length - 1 ? { ...turn, ...fields(turn) } : turn)),
    );
  }, []);
  const [said, setSaid] = useState('');
  const ask = async (question: string) => {
    setSaid('');
    setTurns([...turns, { asked: question, answer: null, run: null, tokens: 0, error: null }]);
    const prompt = promptOf(turns, question);
    const { data, error } = await start({
      'Idempotency-Key': crypto.randomUUID(),
      startInline: { definition: asking(agent), input: { prompt } },
    });
    if (!data) return change(() => ({ answer: '', error: sentenceOf(error) }));
    const run = 'run_id' in data && data.run_id ? data.run_id : '';
    change(() => ({ run }));
    stop.current = untilEnd(run, act, {
      words: (text) => setSaid((before) => before + text),
      ended: (told) => change(() => told),
    });
  };
  return {
    turns,
    said,
    isBusy,
    ask,
    again: () => setTurns([]),
    giveUp: () => {
      if (last?.run) void cancel({ id: last.run, 'Idempotency-Key': crypto.randomUUID(), nothing: {} });
    },
  };
}

interface Told {
  words: (text: string) => void;
  ended: (turn: Partial<Turn>) => void;
}

/** Follows a run to its end, and says what it gave. */
function untilEnd(run: string, act: Store['dispatch'], told: Told): () => void {
  let stop: () => void = () => undefined;
  let isOver = false;
  const look = async () => {
    stop();
    const { data, error } = await act(
      api.endpoints.getRun.initiate({ id: run }, { forceRefetch: true, subscribe: false }),
    );
    if (isOver) return;
    if (!data) return told.ended({ answer: '', error: sentenceOf(error) });
    if (!('usage' in data)) return told.ended({ answer: '', error: 'The run can’t be read.' });
    if (hasEnded(data.status)) return told.ended(answerOf(data));
    follow(data.seq ?? 0);
  };
  const follow = (after: number) => {
    stop = live.followRun({ id: run, workflowId: null }, after, {
      events: (events) => {
        if (events.some(isTurn)) void look();
      },
      words: ({ text }) => told.words(text),
      lost: () => void look(),
    });
  };
  follow(0);
  return () => {
    isOver = true;
    stop();
  };
}

function answerOf({ status, output, error, usage }: Run): Partial<Turn> {
  const tokens = usage.prompt_tokens + usage.completion_tokens;
  if (status === 'completed')
    return { answer: typeof output === 'string' ? output : write(output, 2), tokens, error: null };
  return { answer: '', tokens, error: error ? `${error.code}: ${error.message}` : 'It was cancelled.' };
}
