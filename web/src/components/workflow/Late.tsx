import { useEffect, useRef, useState, type ReactNode } from 'react';

/** After so long without a key what was typed is taken, in milliseconds. */
const PAUSE_MS = 400;

interface Props {
  value: string;
  onSettle: (value: string) => void;
  children: (value: string, set: (value: string) => void, settle: () => void) => ReactNode;
}

/** A text that is typed: taken after a pause or when the field is left, so that a word is one step of undo. */
export function Late({ value, onSettle, children }: Props) {
  const [typed, setTyped] = useState<string | null>(null);
  const now = useRef({ typed, onSettle });
  useEffect(() => {
    now.current = { typed, onSettle };
  });
  useEffect(() => {
    if (typed === null) return;
    const timer = setTimeout(() => {
      onSettle(typed);
      setTyped(null);
    }, PAUSE_MS);
    return () => clearTimeout(timer);
    // eslint-disable-next-line react-hooks/exhaustive-deps -- the newest `onSettle` is that of the same node
  }, [typed]);
  // What was typed last is not lost when the field goes away.
  useEffect(
    () => () => {
      const { typed: left, onSettle: settle } = now.current;
      if (left !== null) settle(left);
    },
    [],
  );
  const settle = () => {
    if (typed === null) return;
    onSettle(typed);
    setTyped(null);
  };
  return children(typed ?? value, setTyped, settle);
}
