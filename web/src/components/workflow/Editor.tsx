import { useEffect, useState } from 'react';
import { useBlocker, useSearchParams } from 'react-router';
import { definitionOf } from '../../model/document';
import { hasEnded, type RunStatus } from '../../model/overlay';
import { useListRunsQuery, type Workflow } from '../../services/api';
import { opened } from '../../services/state';
import { useAct, useSeen } from '../../services/store';
import type { Me } from '../../services/schema';
import { Builder } from './Builder';
import { Conflict } from './Conflict';
import { EditorHead } from './EditorHead';
import { RunDialog } from './RunDialog';
import { useCheck } from './check';
import { useFollow } from './follow';
import { useKept } from './keep';
import { useSave } from './save';

/** A stored workflow under edit: checked, kept, saved, run and watched. */
export function Editor({ workflow, me }: { workflow: Workflow; me: Me }) {
  const act = useAct();
  const [isOpen, setOpen] = useState(false);
  const [params, setParams] = useSearchParams();
  const mayEdit = me.permissions.includes('edit');
  useEffect(() => {
    act(opened(definitionOf(workflow)));
    // eslint-disable-next-line react-hooks/set-state-in-effect -- what is below reads the store, which has it only now
    setOpen(true);
    // Once: what is saved later is what is edited here.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [act, workflow.id]);
  const isDirty = useSeen((state) => state.workflow.document !== state.workflow.saved);
  const save = useSave(workflow);
  const kept = useKept(workflow.id, me, save, isOpen && mayEdit);
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
  const [starts, setStarts] = useState(false);
  useBlocker(({ currentLocation, nextLocation }) => {
    const leaves = currentLocation.pathname !== nextLocation.pathname;
    return (
      leaves && isDirty && !kept.isKept() && !confirm('Leave without saving? The edits are not kept yet.')
    );
  });
  useEffect(() => {
    const pressed = (event: KeyboardEvent) => {
      if (!event.ctrlKey && !event.metaKey) return;
      if (event.key === 's') {
        event.preventDefault();
        if (mayEdit) void save.save();
      } else if (event.key === 'Enter') {
        event.preventDefault();
        setStarts(true);
      }
    };
    addEventListener('keydown', pressed);
    return () => removeEventListener('keydown', pressed);
  }, [mayEdit, save]);
  if (!isOpen) return null;
  return (
    <div className="editor">
      <EditorHead
        id={workflow.id}
        save={save}
        isDirty={isDirty}
        mayEdit={mayEdit}
        mayRun={me.permissions.includes('operate')}
        isConnected={isConnected || !isRunning}
        restoredAt={kept.restoredAt}
        onDiscard={kept.discard}
        onRun={() => setStarts(true)}
      />
      <Builder stored={{ id: workflow.id, version: save.version }} readOnly={!mayEdit} />
      <RunDialog
        opened={starts}
        id={workflow.id}
        save={isDirty && mayEdit ? save.save : null}
        onClose={() => setStarts(false)}
        onStarted={(id) => setParams({ run: id }, { replace: true })}
      />
      {save.conflict && <Conflict id={workflow.id} save={save} />}
    </div>
  );
}
