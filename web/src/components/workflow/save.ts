import { useCallback, useEffect, useMemo, useState, useSyncExternalStore } from 'react';
import { useStore } from 'react-redux';
import { write } from '../../model/lossless';
import { isFailure, sentenceOf, useWriteDraftMutation, type Opened, type Written } from '../../services/api';
import { Saver, type Answer, type SaveState } from '../../services/saver';
import { isEdited, saved, written, type WorkflowState } from '../../services/state';
import { follow } from '../../services/yaml';
import { useAct, useSeen, type State } from '../../services/store';
import { settleTyping } from './typing';

export interface Save extends SaveState {
  /** The latest version that was published; 0 before the first. */
  version: number;
  /** Whether there is something that was not published. */
  isDraft: boolean;
  /** The text can't follow the drawing without losing comments: somebody has to say so. */
  isStuck: boolean;
  /** Saves now. True where the server has everything. */
  save: () => Promise<boolean>;
  /** From now on edits are made on this draft or version. */
  stands: (etag: string, version: number) => void;
}

const TOO_LARGE = 413;
/** Nothing is wrong with what was sent: it may be taken a little later. */
const passes = (status: number) => status === 0 || status === 408 || status === 429 || status >= 500;

/** Saves the draft while it is edited. One with problems is saved, too; it can't be started until they are mended. */
export function useSave(opened: Opened, mayEdit: boolean): Save {
  const act = useAct();
  const store = useStore<State>();
  const [send] = useWriteDraftMutation();
  const [version, setVersion] = useState(opened.version);
  const [isStuck, setStuck] = useState(false);
  const { id } = opened;
  const [saver] = useState((): Saver => {
    const now = (): WorkflowState => store.getState().workflow;
    const transmit = async (etag: string): Promise<Answer> => {
      await settleTyping();
      const { document, source } = now();
      const text = await textOf(now(), (text) => {
        // What was typed meanwhile is newer.
        if (now().document === document && now().source === source) act(written(document, text));
      });
      setStuck(text === null);
      if (text === null) return { why: STUCK, isConflict: false, passes: false };
      const { data, error } = await send({ id, etag, ...text });
      if (data) {
        // Another workflow may be open by now.
        if (!own.isOn()) return { etag: data.draft };
        act(saved(document, text.type === 'application/yaml' ? text.text : null));
        return { etag: data.draft };
      }
      const status = isFailure(error) ? error.status : 0;
      const isConflict = isFailure(error) && error.code === 'draft_changed';
      const why =
        status === TOO_LARGE ? `It is larger than the server takes. ${sentenceOf(error)}` : sentenceOf(error);
      return { why, isConflict, passes: passes(status) };
    };
    const world = { isDirty: () => isEdited(now()), send: transmit };
    const own = new Saver(world, opened.etag, new Date(opened.updatedAt).getTime());
    return own;
  });
  const state = useSyncExternalStore(saver.subscribe, saver.state);
  const document = useSeen((seen) => seen.workflow.document);
  const source = useSeen((seen) => seen.workflow.source);
  const isDirty = useSeen((seen) => isEdited(seen.workflow));
  useEffect(() => {
    if (mayEdit) saver.edited();
  }, [saver, mayEdit, document, source]);
  useEffect(() => {
    // The network is back: what waits is sent at once.
    const back = () => void (saver.state().phase === 'failed' && saver.save());
    addEventListener('online', back);
    saver.begin();
    return () => {
      removeEventListener('online', back);
      saver.end();
    };
  }, [saver]);
  const save = useCallback(async () => {
    await settleTyping();
    return saver.save();
  }, [saver]);
  const stands = useCallback(
    (etag: string, latest: number) => {
      setVersion(latest);
      setStuck(false);
      saver.stands(etag);
    },
    [saver],
  );
  const isDraft = isDirty || state.etag.startsWith('d');
  return useMemo(
    () => ({ ...state, version, isDraft, isStuck, save, stands }),
    [state, version, isDraft, isStuck, save, stands],
  );
}

const STUCK = 'The YAML can’t follow the last edit without losing comments.';

/** What is sent: the text that follows the document, or JSON where there is none. Null where it can't follow. */
async function textOf(state: WorkflowState, follows: (text: string) => void): Promise<Written | null> {
  const { document, source } = state;
  if (!source) return { text: write(document), type: 'application/json' };
  if (source.says === document) return { text: source.text, type: 'application/yaml' };
  const { text, isKept } = await follow(source.text, document);
  if (!isKept) return null;
  follows(text);
  return { text, type: 'application/yaml' };
}
