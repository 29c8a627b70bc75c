import { useCallback, useEffect, useRef, useState } from 'react';
import { useStore } from 'react-redux';
import type { Definition } from '../../model/document';
import { typed as taken, written } from '../../services/state';
import { useAct, useSeen, type State } from '../../services/store';
import { follow, fresh, read, type Mistake } from '../../services/yaml';
import { onSettle } from './typing';

/** After so long without a key the text is read, in milliseconds. */
const PAUSE_MS = 400;
const NONE: Mistake[] = [];

/** What is typed and is not in the document, and the document that it was typed over. */
interface Typed {
  text: string;
  over: Definition;
  mistakes: Mistake[];
}

/** The text of the document: it follows the drawing, and the drawing follows it where it can be read. */
export function useText(readOnly: boolean) {
  const act = useAct();
  const store = useStore<State>();
  const document = useSeen((state) => state.workflow.document);
  const source = useSeen((state) => state.workflow.source);
  const [typed, setTyped] = useState<Typed | null>(null);
  const [drawn, setDrawn] = useState('');
  // The document that the text could not follow in place.
  const [stuck, setStuck] = useState<Definition | null>(null);
  const isFollowed = source !== null && source.says === document;
  useEffect(() => {
    if (isFollowed || readOnly || !source) return;
    return unlessOld(follow(source.text, document), ({ text, isKept }) => {
      if (isKept) act(written(document, text));
      else setStuck(document);
    });
  }, [act, document, isFollowed, readOnly, source]);
  const isDrawn = source === null;
  useEffect(() => {
    // What never was YAML is written so here, and stays JSON until somebody types.
    if (isDrawn) return unlessOld(fresh(document), setDrawn);
  }, [document, isDrawn]);
  const latest = useRef(typed);
  const isGone = useRef(false);
  useEffect(() => {
    latest.current = typed;
  });
  const settle = useCallback(async () => {
    const now = latest.current;
    if (!now) return;
    const over = store.getState().workflow.document;
    const { document: said, mistakes } = await read(now.text);
    // What was typed meanwhile is read by itself, and what was closed may be another workflow by now.
    if (latest.current?.text !== now.text) return;
    if (isGone.current && store.getState().workflow.document !== over) return;
    if (said) {
      act(taken(said, now.text));
      latest.current = null;
      setTyped(null);
    } else {
      setTyped({ ...now, mistakes });
    }
  }, [act, store]);
  useEffect(() => {
    if (typed === null) return;
    const timer = setTimeout(() => void settle(), PAUSE_MS);
    return () => clearTimeout(timer);
    // eslint-disable-next-line react-hooks/exhaustive-deps -- a text that was read and is wrong is not read again
  }, [typed?.text, settle]);
  useEffect(() => {
    const end = onSettle(settle);
    isGone.current = false;
    return () => {
      end();
      isGone.current = true;
      void settle();
    };
  }, [settle]);
  const type = useCallback(
    (text: string) => {
      setTyped((before) => ({
        text,
        over: before?.over ?? store.getState().workflow.document,
        mistakes: before?.mistakes ?? NONE,
      }));
    },
    [store],
  );
  const takeDrawing = useCallback(() => {
    latest.current = null;
    setTyped(null);
  }, []);
  return {
    text: typed?.text ?? source?.text ?? drawn,
    mistakes: typed?.mistakes ?? NONE,
    /** The drawing has changed while the text could not be read. */
    isBehind: typed !== null && typed.mistakes.length > 0 && typed.over !== document,
    isStuck: typed === null && source !== null && !isFollowed && stuck === document,
    type,
    takeDrawing,
  };
}

/** Takes what is promised, unless something newer was asked for by then. */
export function unlessOld<T>(promised: Promise<T>, take: (value: T) => void): () => void {
  let isOld = false;
  void promised.then((value) => {
    if (!isOld) take(value);
  });
  return () => {
    isOld = true;
  };
}
