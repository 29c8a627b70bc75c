/** Undo and redo: documents as they were, one for each gesture. */

export interface History<T> {
  past: T[];
  future: T[];
}

const LONGEST = 200;

export const nothing = <T>(): History<T> => ({ past: [], future: [] });

/** Notes what was before a change. What had been undone is gone. */
export function noted<T>(history: History<T>, before: T): History<T> {
  return { past: [...history.past, before].slice(-LONGEST), future: [] };
}

export function undone<T>(history: History<T>, now: T): { history: History<T>; now: T } | null {
  const before = history.past.at(-1);
  if (before === undefined) return null;
  return { history: { past: history.past.slice(0, -1), future: [now, ...history.future] }, now: before };
}

export function redone<T>(history: History<T>, now: T): { history: History<T>; now: T } | null {
  const [next, ...future] = history.future;
  if (next === undefined) return null;
  return { history: { past: [...history.past, now], future }, now: next };
}
