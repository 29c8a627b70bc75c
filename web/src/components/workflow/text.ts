import { useCallback, useEffect, useRef, useState } from 'react';
import { useStore } from 'react-redux';
import type { Definition } from '../../model/document';
import { follow, fresh, read, type Mistake } from '../../model/yaml';
import { typed as taken, written } from '../../services/state';
import { useAct, useSeen, type State } from '../../services/store';
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
  const [drawn, setDrawn] = useState<{ text: string; of: Definition | null }>({ text: '', of: null });
  const isFollowed = source !== null && source.says === document;
  useEffect(() => {
    if (isFollowed || readOnly || !source) return;
    const { text, isKept } = follow(source.text, document);
    if (isKept) act(written(document, text));
  }, [act, document, isFollowed, readOnly, source]);
  // What never was YAML is written so here, and stays JSON until somebody types.
  if (!source && drawn.of !== document) setDrawn({ text: fresh(document), of: document });
  const latest = useRef(typed);
  useEffect(() => {
    latest.current = typed;
  });
  const settle = useCallback(() => {
    const now = latest.current;
    if (!now) return;
    const { document: said, mistakes } = read(now.text);
    if (said) {
      act(taken(said, now.text));
      latest.current = null;
      setTyped(null);
    } else {
      setTyped({ ...now, mistakes });
    }
  }, [act]);
  useEffect(() => {
    if (typed === null) return;
    const timer = setTimeout(settle, PAUSE_MS);
    return () => clearTimeout(timer);
    // eslint-disable-next-line react-hooks/exhaustive-deps -- a text that was read and is wrong is not read again
  }, [typed?.text, settle]);
  useEffect(() => {
    const end = onSettle(settle);
    return () => {
      end();
      settle();
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
    text: typed?.text ?? source?.text ?? drawn.text,
    mistakes: typed?.mistakes ?? NONE,
    /** The drawing has changed while the text could not be read. */
    isBehind: typed !== null && typed.mistakes.length > 0 && typed.over !== document,
    isStuck: typed === null && source !== null && !isFollowed && !readOnly,
    type,
    takeDrawing,
  };
}
