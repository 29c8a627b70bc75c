import { Alert, Anchor, Button, Group, Title } from '@mantine/core';
import { useState } from 'react';
import { Link } from 'react-router';
import { hasEnded, type RunStatus } from '../../model/overlay';
import { saidOf } from '../../model/pins';
import {
  sentenceOf,
  useCancelRunMutation,
  usePauseRunMutation,
  useResumeRunMutation,
  type Run,
} from '../../services/api';
import { useSeen } from '../../services/store';
import { useMay } from '../../utils/may';
import { ago, between, span } from '../../utils/time';
import { Status } from '../common/Status';
import { Sure } from '../common/Sure';
import { RerunDialog } from './RerunDialog';
import { SignalDialog } from './SignalDialog';

/** What became of a run, and what can be done with it now. */
export function RunHead({ run, status, isConnected }: { run: Run; status: RunStatus; isConnected: boolean }) {
  const may = useMay();
  const name = useSeen((state) => state.workflow.document.name);
  const [cancel, cancelled] = useCancelRunMutation();
  const [pause, paused] = usePauseRunMutation();
  const [resume, resumed] = useResumeRunMutation();
  const [asks, setAsks] = useState<'cancel' | 'rerun' | 'signal' | null>(null);
  const error = cancelled.error ?? paused.error ?? resumed.error;
  const once = () => ({ id: run.id, 'Idempotency-Key': crypto.randomUUID(), nothing: {} });
  const ms = between(run.started_at, run.ended_at);
  const isOver = hasEnded(status);
  const tokens = run.usage.prompt_tokens + run.usage.completion_tokens;
  return (
    <>
      <header className="editor-head">
        <Group gap="xs" wrap="nowrap" miw={0}>
          <Anchor component={Link} to="/runs" size="sm">
            Runs
          </Anchor>
          <span aria-hidden>/</span>
          <Title order={1} lineClamp={1}>
            {name}
          </Title>
          <span role="status">
            <Status of={status} />
          </span>
          <div className="facts">
            <span>began {ago(run.created_at)}</span>
            {isOver && ms !== null && <span>took {span(ms)}</span>}
            {tokens > 0 && <span>{tokens} tokens</span>}
            {run.workflow_id && <span>{run.version > 0 ? `version ${run.version}` : 'the draft'}</span>}
            {run.trial && <span>{saidOf(run.trial)}</span>}
          </div>
          {!isConnected && !isOver && <span className="editor-offline">connecting again…</span>}
        </Group>
        <Group gap="xs" wrap="nowrap">
          {run.workflow_id && (
            <Button
              component={Link}
              to={`/workflows/${run.workflow_id}?run=${run.id}`}
              size="xs"
              variant="default"
            >
              Open in the builder
            </Button>
          )}
          {may('operate') && !isOver && (
            <>
              <Button size="xs" variant="default" onClick={() => setAsks('signal')}>
                Signal
              </Button>
              {status === 'paused' ? (
                <Button size="xs" loading={resumed.isLoading} onClick={() => void resume(once())}>
                  Resume
                </Button>
              ) : (
                <Button
                  size="xs"
                  variant="default"
                  loading={paused.isLoading}
                  onClick={() => void pause(once())}
                >
                  Pause
                </Button>
              )}
              <Button size="xs" variant="outline" color="red" onClick={() => setAsks('cancel')}>
                Cancel
              </Button>
            </>
          )}
          {may('operate') && isOver && (
            <Button size="xs" onClick={() => setAsks('rerun')}>
              Run again from…
            </Button>
          )}
        </Group>
      </header>
      {error && (
        <Alert className="editor-note" color="red" variant="outline" p="xs">
          {sentenceOf(error)}
        </Alert>
      )}
      <Sure
        opened={asks === 'cancel'}
        title="Cancel this run?"
        text="What it has begun is given up. It can be run again from any node."
        action="Cancel the run"
        onClose={() => setAsks(null)}
        onSure={() => void cancel(once())}
      />
      <RerunDialog opened={asks === 'rerun'} run={run} onClose={() => setAsks(null)} />
      <SignalDialog opened={asks === 'signal'} run={run.id} onClose={() => setAsks(null)} />
    </>
  );
}
