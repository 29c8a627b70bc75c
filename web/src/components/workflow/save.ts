import { useCallback, useMemo, useState } from 'react';
import { useStore } from 'react-redux';
import { write } from '../../model/lossless';
import { isFailure, sentenceOf, useSaveDefinitionMutation, type Workflow } from '../../services/api';
import { saved } from '../../services/state';
import { useAct, type State } from '../../services/store';
import { settleTyping } from './typing';

export interface Save {
  /** The version that the server has. */
  version: number;
  isSaving: boolean;
  savedAt: number;
  /** Why it could not be saved. */
  error: string | null;
  /** Somebody else has saved meanwhile. */
  conflict: boolean;
  /** True where it was saved. With `over` it is saved over another one's version. */
  save: (over?: number) => Promise<boolean>;
  /** Ends a conflict, with this version as the one that is edited. */
  settle: (version?: number) => void;
}

/** Saves the document as the next version. One with problems is saved, too; it can't be started until they are mended. */
export function useSave(workflow: Workflow): Save {
  const act = useAct();
  const store = useStore<State>();
  const [send, { isLoading }] = useSaveDefinitionMutation();
  const [version, setVersion] = useState(workflow.version);
  const [savedAt, setSavedAt] = useState(() => new Date(workflow.updated_at).getTime());
  const [error, setError] = useState<string | null>(null);
  const [conflict, setConflict] = useState(false);
  const save = useCallback(
    async (over?: number) => {
      settleTyping();
      const { document } = store.getState().workflow;
      const { data, error: failed } = await send({
        id: workflow.id,
        base: over ?? version,
        text: write(document),
      });
      if (data) {
        act(saved(document));
        setVersion(data.version);
        setSavedAt(Date.now());
        setError(null);
        setConflict(false);
        return true;
      }
      setConflict(isFailure(failed) && failed.code === 'version_conflict');
      setError(sentenceOf(failed));
      return false;
    },
    [act, send, store, version, workflow.id],
  );
  const settle = useCallback((taken?: number) => {
    setConflict(false);
    setError(null);
    if (taken !== undefined) setVersion(taken);
  }, []);
  return useMemo(
    () => ({
      version,
      isSaving: isLoading,
      savedAt,
      error,
      conflict,
      save,
      settle,
    }),
    [version, isLoading, savedAt, error, conflict, save, settle],
  );
}
