import { Button, Loader } from '@mantine/core';
import { IconClockPlay, IconPlus } from '@tabler/icons-react';
import { useState } from 'react';
import { useSearchParams } from 'react-router';
import { useListTriggersQuery, useListWorkflowsQuery } from '../../services/api';
import type { Trigger, TriggerMade } from '../../services/schema';
import { useMay } from '../../utils/may';
import { Failed } from '../common/Failed';
import { PageHead } from '../common/PageHead';
import { State } from '../common/State';
import { TriggerDialog } from './TriggerDialog';
import { Secret } from './Secret';
import { TriggerTable } from './TriggerTable';
import './triggers.css';

/** How often the list looks again, in milliseconds: what is next comes closer. */
const LOOK_MS = 15_000;

/** What starts runs by itself: schedules and webhooks, when they fire next, and what came of it. */
export function TriggersPage() {
  const may = useMay();
  const [params] = useSearchParams();
  const of = params.get('workflow') ?? undefined;
  const triggers = useListTriggersQuery(
    { limit: 500, workflowId: of },
    { refetchOnMountOrArgChange: true, pollingInterval: LOOK_MS, skipPollingIfUnfocused: true },
  );
  const workflows = useListWorkflowsQuery({ limit: 1000 });
  // The one that is changed, or that another one is made.
  const [edits, setEdits] = useState<Trigger | 'new' | null>(null);
  const [secret, setSecret] = useState<TriggerMade | null>(null);
  if (triggers.isLoading) return <Loader m="xl" aria-label="The triggers are loading" />;
  if (!triggers.data) {
    return (
      <Failed what="The triggers can’t be had" error={triggers.error} again={() => void triggers.refetch()} />
    );
  }
  const all = workflows.data?.items ?? [];
  const name = all.find((workflow) => workflow.id === of)?.name;
  const { items } = triggers.data;
  const mayEdit = may('edit');
  const begin = mayEdit && (
    <Button size="xs" leftSection={<IconPlus size={16} aria-hidden />} onClick={() => setEdits('new')}>
      New trigger
    </Button>
  );
  return (
    <>
      <PageHead title={name ? `Triggers of ${name}` : 'Triggers'}>{items.length > 0 && begin}</PageHead>
      <div className="page">
        {items.length === 0 ? (
          <State
            icon={<IconClockPlay size={40} stroke={1.3} aria-hidden />}
            title="Nothing starts by itself"
            text="A schedule starts a workflow by the clock, a webhook when another program sends a request."
            action={begin}
          />
        ) : (
          <TriggerTable triggers={items} workflows={all} onEdit={setEdits} onSecret={setSecret} />
        )}
      </div>
      {edits && (
        <TriggerDialog
          workflows={all}
          workflow={edits === 'new' ? (of ?? null) : edits.workflow_id}
          trigger={edits === 'new' ? undefined : edits}
          onClose={() => setEdits(null)}
          onMade={(made) => {
            setEdits(null);
            if (made.secret) setSecret(made);
          }}
        />
      )}
      {secret && <Secret made={secret} onClose={() => setSecret(null)} />}
    </>
  );
}
