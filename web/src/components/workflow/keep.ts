import { useCallback, useEffect, useRef, useState } from 'react';
import { useStore } from 'react-redux';
import { definitionOf } from '../../model/document';
import { equal } from '../../model/diff';
import { parse } from '../../model/lossless';
import { forget, keep, kept, keptKey } from '../../services/kept';
import type { Me } from '../../services/schema';
import { isEdited, restored, type WorkflowState } from '../../services/state';
import { useAct, useSeen, type State } from '../../services/store';
import type { Save } from './save';

/** Sooner than they are saved: what is typed last is here, too, when the tab is closed. */
const PAUSE_MS = 250;

/** Keeps edits in this browser until the server has them, and takes them up when the workflow is opened again. */
export function useKept(id: string, me: Me, save: Save, is: boolean) {
  const act = useAct();
  const { etag, version, stands } = save;
  const store = useStore<State>();
  const document = useSeen((state) => state.workflow.document);
  const source = useSeen((state) => state.workflow.source);
  const isDirty = useSeen((state) => isEdited(state.workflow));
  // What was found, and what stood there before it was taken up.
  const [found, setFound] = useState<{ at: number; before: WorkflowState } | null>(null);
  const [isLooked, setLooked] = useState(false);
  const done = useRef(document);
  const key = keptKey(me.project, me.subject, id);
  const latest = useRef(version);
  useEffect(() => {
    latest.current = version;
  });
  useEffect(() => {
    if (!is) return;
    void kept(key, parse).then((edits) => {
      setLooked(true);
      const before = store.getState().workflow;
      const isSame = (text: string | null) => text === (before.source?.text ?? null);
      if (!edits || (equal(edits.document, before.document) && isSame(edits.text))) return;
      act(restored(definitionOf(edits.document), edits.text));
      // They were made on what there was then: if that has changed since, the server says so.
      stands(edits.base, latest.current);
      setFound({ at: edits.at, before });
    });
  }, [act, is, key, stands, store]);
  useEffect(() => {
    if (!is || !isLooked) return;
    if (!isDirty) {
      void forget(key);
      return;
    }
    const timer = setTimeout(() => {
      const edit = { document, text: source?.text ?? null, base: etag, at: Date.now() };
      void keep(key, edit).then(() => {
        done.current = document;
      });
    }, PAUSE_MS);
    return () => clearTimeout(timer);
  }, [document, source, is, isLooked, key, isDirty, etag]);
  /** Takes the edits that were found back; they can be had again by undo. */
  const discard = useCallback(() => {
    if (found) act(restored(found.before.document, found.before.source?.text ?? null));
    setFound(null);
  }, [act, found]);
  const dismiss = useCallback(() => setFound(null), []);
  const isKept = useCallback(() => done.current === store.getState().workflow.document, [store]);
  return { restoredAt: found?.at ?? null, discard, dismiss, isKept };
}
