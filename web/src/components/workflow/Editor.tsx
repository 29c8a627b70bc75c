import { useEffect, useState } from 'react';
import { useBlocker, useSearchParams } from 'react-router';
import { hasEnded, type RunStatus } from '../../model/overlay';
import type { Trying } from '../../model/pins';
import { useListRunsQuery, type Opened } from '../../services/api';
import { isEdited, opened } from '../../services/state';
import { useAct, useSeen } from '../../services/store';
import type { Me } from '../../services/schema';
import { Builder } from './Builder';
import { Conflict } from './Conflict';
import { EditorHead } from './EditorHead';
import { PublishDialog } from './PublishDialog';
import { RunDialog } from './RunDialog';
import { useCheck } from './check';
import { useFollow } from './follow';
import { useKept } from './keep';
import { usePins } from './pins';
import { useEditorOffers } from './offers';
import { useSave } from './save';

/** What is asked before something is done. */
export type Asking = 'run' | 'run-draft' | 'publish' | 'conflict' | Trying | null;

/** A stored workflow under edit: checked, kept, saved, published, run and watched. */
export function Editor({ workflow, me }: { workflow: Opened; me: Me }) {
  const act = useAct();
  const [isOpen, setOpen] = useState(false);
  const [params, setParams] = useSearchParams();
  const mayEdit = me.permissions.includes('edit');
  useEffect(() => {
    act(opened(workflow.definition, workflow.text));
    // eslint-disable-next-line react-hooks/set-state-in-effect -- what is below reads the store, which has it only now
    setOpen(true);
    // eslint-disable-next-line react-hooks/exhaustive-deps -- once: what is saved later is what is edited here
  }, [act, workflow.id]);
  const save = useSave(workflow, isOpen && mayEdit);
  const kept = useKept(workflow.id, me, save, isOpen && mayEdit);
  usePins(workflow.id, me, isOpen);
  useCheck(isOpen);
  const named = params.get('run');
  const latest = useListRunsQuery({ workflowId: workflow.id, limit: 1 }, { skip: named !== null });
  const newest = latest.data?.items[0];
  // What runs is shown without being asked for; what has ended only if the address names it.
  const open = newest && !hasEnded(newest.status as RunStatus) ? newest.id : null;
  const [shown, setShown] = useState<string | null>(null);
  // It stays on the drawing when it has ended.
  if (open !== null && shown === null) setShown(open);
  const run = named ?? shown;
  const isConnected = useFollow(run, workflow.id, isOpen);
  const isRunning = useSeen((state) => state.workflow.running);
  const [asking, setAsking] = useState<Asking>(null);
  const close = () => setAsking(null);
  useLeaving(save.save, kept.isKept);
  // A conflict is told when it is found; who closes it comes back to it from the head.
  const isConflict = save.phase === 'conflict';
  const [wasConflict, setWasConflict] = useState(false);
  if (isConflict !== wasConflict) {
    setWasConflict(isConflict);
    if (isConflict) setAsking('conflict');
  }
  const mayRun = me.permissions.includes('operate');
  const may = { edit: mayEdit, run: mayRun };
  useEditorOffers(workflow.id, may, { draft: save.isDraft, published: save.version > 0 }, setAsking);
  const starts = save.isDraft && mayEdit ? 'run-draft' : 'run';
  const trying = typeof asking === 'object' ? asking : null;
  useEffect(() => {
    const pressed = (event: KeyboardEvent) => {
      if (!event.ctrlKey && !event.metaKey) return;
      if (event.key === 's') {
        event.preventDefault();
        if (mayEdit) void save.save();
      } else if (event.key === 'Enter') {
        event.preventDefault();
        setAsking(starts);
      }
    };
    addEventListener('keydown', pressed);
    return () => removeEventListener('keydown', pressed);
  }, [mayEdit, save, starts]);
  if (!isOpen) return null;
  return (
    <div className="editor">
      <EditorHead
        id={workflow.id}
        save={save}
        mayEdit={mayEdit}
        mayRun={mayRun}
        isConnected={isConnected || !isRunning}
        restoredAt={kept.restoredAt}
        onDiscard={kept.discard}
        onDismiss={kept.dismiss}
        onAsk={setAsking}
      />
      <Builder
        stored={{ id: workflow.id, version: save.version, onTry: mayRun && mayEdit ? setAsking : undefined }}
        readOnly={!mayEdit}
      />
      <RunDialog
        opened={asking === 'run' || asking === 'run-draft' || trying !== null}
        id={workflow.id}
        isDraft={asking === 'run-draft' || trying !== null}
        trying={trying}
        save={save}
        onClose={close}
        onStarted={(id) => setParams({ run: id }, { replace: true })}
      />
      {asking === 'publish' && <PublishDialog id={workflow.id} save={save} onClose={close} />}
      {asking === 'conflict' && isConflict && <Conflict id={workflow.id} save={save} onClose={close} />}
    </div>
  );
}

/** Who leaves takes nothing along: what is edited is saved first, or kept, or given up by word. */
function useLeaving(save: () => Promise<boolean>, isKept: () => boolean): void {
  const isDirty = useSeen((state) => isEdited(state.workflow));
  const blocker = useBlocker(
    ({ currentLocation, nextLocation }) => currentLocation.pathname !== nextLocation.pathname && isDirty,
  );
  useEffect(() => {
    if (blocker.state !== 'blocked') return;
    void save().then((isSaved) => {
      if (isSaved || isKept() || confirm('Leave without saving? The last edits are lost then.'))
        blocker.proceed();
      else blocker.reset();
    });
  }, [blocker, save, isKept]);
}
