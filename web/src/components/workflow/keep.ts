import { useCallback, useEffect, useRef, useState } from 'react';
import { useStore } from 'react-redux';
import { definitionOf, type Definition } from '../../model/document';
import { equal } from '../../model/diff';
import { parse } from '../../model/lossless';
import { forget, keep, kept, keptKey } from '../../services/kept';
import type { Save } from './save';
import type { Me } from '../../services/schema';
import { restored, saved } from '../../services/state';
import { useAct, useSeen, type State } from '../../services/store';

const PAUSE_MS = 1000;

/** Keeps edits in this browser until the server has them, and takes them up when the workflow is opened again. */
export function useKept(id: string, me: Me, save: Save, is: boolean) {
  const act = useAct();
  const { version, settle } = save;
  const store = useStore<State>();
  const document = useSeen((state) => state.workflow.document);
  const server = useSeen((state) => state.workflow.saved);
  const [restoredAt, setRestoredAt] = useState<number | null>(null);
  const [isLooked, setLooked] = useState(false);
  const done = useRef(document);
  const key = keptKey(me.project, me.subject, id);
  useEffect(() => {
    if (!is) return;
    void kept(key, parse).then((found) => {
      setLooked(true);
      if (!found || equal(found.document, store.getState().workflow.document)) return;
      act(restored(definitionOf(found.document)));
      // They are edits of the version that they began from: saving over a later one is asked about.
      settle(found.base);
      setRestoredAt(found.at);
    });
  }, [act, is, key, settle, store]);
  useEffect(() => {
    if (!is || !isLooked) return;
    if (document === server) {
      void forget(key);
      return;
    }
    const timer = setTimeout(() => {
      void keep(key, { document, base: version, at: Date.now() }).then(() => {
        done.current = document;
      });
    }, PAUSE_MS);
    return () => clearTimeout(timer);
  }, [document, is, isLooked, key, server, version]);
  const discard = useCallback(() => {
    const now: Definition = store.getState().workflow.saved;
    act(restored(now));
    act(saved(now));
  }, [act, store]);
  const isKept = useCallback(() => done.current === store.getState().workflow.document, [store]);
  return { restoredAt: document === server ? null : restoredAt, discard, isKept };
}
