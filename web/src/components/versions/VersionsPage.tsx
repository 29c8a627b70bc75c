import { Alert, Anchor, Button, Group, Loader, SegmentedControl, Select, Title } from '@mantine/core';
import { useState } from 'react';
import { Link, useNavigate, useParams, useSearchParams } from 'react-router';
import {
  isFailure,
  sentenceOf,
  useListVersionsQuery,
  useOpenWorkflowQuery,
  useRestoreVersionMutation,
} from '../../services/api';
import { useMay } from '../../utils/may';
import { Failed } from '../common/Failed';
import { NotFound } from '../common/NotFound';
import { PageHead } from '../common/PageHead';
import { State } from '../common/State';
import { Sure } from '../common/Sure';
import { Compare } from './Compare';
import { VersionList } from './VersionList';
import './versions.css';

/** Versions of a workflow: what is new in each, what differs between two, and the way back to one. */
export function VersionsPage() {
  const { id = '' } = useParams();
  const may = useMay();
  const navigate = useNavigate();
  const [params, setParams] = useSearchParams();
  const again = { refetchOnMountOrArgChange: true };
  const versions = useListVersionsQuery({ id, limit: 200 }, again);
  const workflow = useOpenWorkflowQuery(id, again);
  const [restore, restoring] = useRestoreVersionMutation();
  const [asks, setAsks] = useState<number | null>(null);
  const [as, setAs] = useState('drawing');
  if (isFailure(workflow.error) && workflow.error.status === 404) return <NotFound />;
  if (versions.isLoading || workflow.isLoading)
    return <Loader m="xl" aria-label="The versions are loading" />;
  if (!versions.data || !workflow.data) {
    const error = versions.error ?? workflow.error;
    return <Failed what="The versions can’t be had" error={error} again={() => void versions.refetch()} />;
  }
  const lines = versions.data.items;
  const hasDraft = workflow.data.etag.startsWith('d');
  const newest = hasDraft ? 'draft' : String(lines[0]?.version ?? 'draft');
  const to = params.get('to') ?? newest;
  const before = to === 'draft' ? lines[0] : lines.find((line) => line.version < Number(to));
  const from = params.get('from') ?? String(before?.version ?? to);
  const compare = (other: { from?: string; to?: string }) =>
    setParams({ from, to, ...other }, { replace: true });
  const choices = [
    ...(hasDraft ? [{ value: 'draft', label: 'the draft' }] : []),
    ...lines.map((line) => ({ value: String(line.version), label: `version ${line.version}` })),
  ];
  const bring = async (n: number) => {
    const { etag } = workflow.data ?? { etag: '' };
    const { error } = await restore({
      id,
      n,
      'Idempotency-Key': crypto.randomUUID(),
      'If-Match': `"${etag}"`,
      nothing: {},
    });
    if (!error) await navigate(`/workflows/${id}`);
  };
  const { name } = workflow.data.definition;
  return (
    <div className="versions">
      <PageHead
        title={
          <>
            Versions of{' '}
            <Anchor component={Link} to={`/workflows/${id}`} inherit>
              {name}
            </Anchor>
          </>
        }
      >
        <Button component={Link} to={`/workflows/${id}`} size="xs" variant="default">
          Back to the drawing
        </Button>
      </PageHead>
      {restoring.error && (
        <Alert color="red" variant="outline" m="md" title="It was not restored">
          {sentenceOf(restoring.error)}
        </Alert>
      )}
      {lines.length === 0 ? (
        <State
          title="Nothing is published yet"
          text="Publishing makes a version of the draft, which never changes any more."
        />
      ) : (
        <div className="versions-parts">
          <VersionList
            draft={hasDraft ? workflow.data : null}
            versions={lines}
            shown={to}
            mayRestore={may('edit')}
            onShow={(one) => {
              const older = one === 'draft' ? lines[0] : lines.find((line) => line.version < Number(one));
              setParams({ from: String(older?.version ?? one), to: one }, { replace: true });
            }}
            onRestore={setAsks}
          />
          <section className="versions-diff" aria-label="What differs">
            <Group gap="xs" className="versions-tools">
              <Title order={2}>From</Title>
              <Select
                size="xs"
                w={130}
                aria-label="From"
                data={choices}
                value={from}
                allowDeselect={false}
                onChange={(value) => compare({ from: value ?? from })}
              />
              <Title order={2}>to</Title>
              <Select
                size="xs"
                w={130}
                aria-label="To"
                data={choices}
                value={to}
                allowDeselect={false}
                onChange={(value) => compare({ to: value ?? to })}
              />
              <SegmentedControl
                ml="auto"
                size="xs"
                aria-label="Shown as"
                data={[
                  { value: 'drawing', label: 'Drawing' },
                  { value: 'text', label: 'YAML' },
                ]}
                value={as}
                onChange={setAs}
              />
            </Group>
            <Compare
              key={`${from} ${to}`}
              id={id}
              from={from}
              to={to}
              as={as === 'text' ? 'text' : 'drawing'}
            />
          </section>
        </div>
      )}
      <Sure
        opened={asks !== null}
        title={`Restore version ${asks ?? ''}?`}
        text={
          hasDraft
            ? 'It is written into the draft, and what the draft says now is lost. Nothing is published by that.'
            : 'It becomes the draft. Nothing is published by that.'
        }
        action="Restore it"
        onClose={() => setAsks(null)}
        onSure={() => {
          if (asks !== null) void bring(asks);
        }}
      />
    </div>
  );
}
