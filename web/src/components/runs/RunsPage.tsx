import { Button, Loader, Select, TextInput } from '@mantine/core';
import { IconPlayerPlay } from '@tabler/icons-react';
import { useState } from 'react';
import { useNavigate, useParams, useSearchParams } from 'react-router';

import { useListRunsQuery, useListWorkflowsQuery } from '../../services/api';
import { useLook } from '../../utils/live';
import { useMay } from '../../utils/may';
import { Failed } from '../common/Failed';
import { PageHead } from '../common/PageHead';
import { State } from '../common/State';
import { Bulk } from './Bulk';
import { RunTable } from './RunTable';

const STATUSES = ['running', 'waiting', 'paused', 'completed', 'failed', 'cancelled', 'pending'];
const PAGE = 100;
/** How often an open list is looked at again, in milliseconds. */
const LOOK_MS = 3000;

/** Runs, newest first. What is filtered by stands in the address. */
export function RunsPage() {
  const may = useMay();
  const navigate = useNavigate();
  const { id } = useParams();
  const [params, setParams] = useSearchParams();
  const [marked, setMarked] = useState<ReadonlySet<string>>(new Set());
  const workflows = useListWorkflowsQuery({ limit: 1000 });
  const workflowId = id ?? params.get('workflow') ?? undefined;
  const status = params.get('status') ?? undefined;
  const cursor = params.get('cursor') ?? undefined;
  const look = useLook(LOOK_MS);
  const runs = useListRunsQuery(
    { workflowId, status: status ? [status] : undefined, cursor, limit: PAGE },
    { pollingInterval: look, skipPollingIfUnfocused: true, refetchOnMountOrArgChange: true },
  );
  const filter = (name: string, value: string | null) => {
    const next = new URLSearchParams(params);
    if (value) next.set(name, value);
    else next.delete(name);
    if (name !== 'cursor') next.delete('cursor');
    setParams(next);
    setMarked(new Set());
  };
  const names = new Map(workflows.data?.items.map((workflow) => [workflow.id, workflow.name]));
  const items = runs.data?.items ?? [];
  const chosen = items.filter((run) => marked.has(run.id));
  const isFiltered = status !== undefined || cursor !== undefined;
  return (
    <>
      <PageHead title={id ? `Runs of ${names.get(id) ?? 'a workflow'}` : 'Runs'}>
        <TextInput
          size="xs"
          w={190}
          aria-label="Open a run by its id"
          placeholder="Open by id, then Enter"
          onKeyDown={(event) => {
            const text = event.currentTarget.value.trim();
            if (event.key === 'Enter' && text) void navigate(`/runs/${encodeURIComponent(text)}`);
          }}
        />
        <Select
          size="xs"
          w={150}
          aria-label="Status"
          placeholder="every status"
          clearable
          data={STATUSES}
          value={status ?? null}
          onChange={(value) => filter('status', value)}
        />
        {!id && (
          <Select
            size="xs"
            w={200}
            aria-label="Workflow"
            placeholder="every workflow"
            clearable
            searchable
            data={[...names].map(([value, label]) => ({ value, label }))}
            value={workflowId ?? null}
            onChange={(value) => filter('workflow', value)}
          />
        )}
        {may('operate') && <Bulk runs={chosen} onDone={() => setMarked(new Set())} />}
      </PageHead>
      <div className="page">
        {runs.isLoading && <Loader aria-label="The runs are loading" />}
        {runs.error && (
          <Failed what="The runs can’t be had" error={runs.error} again={() => void runs.refetch()} />
        )}
        {items.length > 0 && (
          <RunTable runs={items} names={names} marked={marked} onMark={setMarked} canMark={may('operate')} />
        )}
        {runs.data && items.length === 0 && (
          <State
            icon={<IconPlayerPlay size={40} stroke={1.3} aria-hidden />}
            title={isFiltered ? 'No run fits' : 'Nothing has run yet'}
            text={isFiltered ? 'Take the filters out to see all of them.' : 'Open a workflow and press Run.'}
            action={
              isFiltered && (
                <Button variant="default" onClick={() => setParams({})}>
                  Show all
                </Button>
              )
            }
          />
        )}
        {(cursor ?? runs.data?.next) && (
          <div className="pager">
            <Button size="xs" variant="default" disabled={!cursor} onClick={() => filter('cursor', null)}>
              Newest
            </Button>
            <Button
              size="xs"
              variant="default"
              disabled={!runs.data?.next}
              onClick={() => filter('cursor', runs.data?.next ?? null)}
            >
              Older
            </Button>
          </div>
        )}
      </div>
    </>
  );
}
