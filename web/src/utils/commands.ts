import { useEffect, useSyncExternalStore } from 'react';
import type { Command } from '../model/commands';

/** What each part of the page that is shown offers. */
const offered = new Map<symbol, Command[]>();
const listeners = new Set<() => void>();
let all: Command[] = [];

function changed(): void {
  all = [...offered.values()].flat();
  for (const listener of listeners) listener();
}

/** Offers commands while the caller is shown. They are made anew only when what they are made of changes. */
export function useOffers(commands: Command[]): void {
  useEffect(() => {
    const name = Symbol('commands');
    offered.set(name, commands);
    changed();
    return () => {
      offered.delete(name);
      changed();
    };
  }, [commands]);
}

/** Everything that can be done now. */
export const useOffered = (): Command[] =>
  useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => all,
  );
