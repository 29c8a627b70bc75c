import { Anchor, Loader, Paper, Text } from '@mantine/core';
import { IconChecklist } from '@tabler/icons-react';
import { Link } from 'react-router';
import { useListApprovalsQuery } from '../../services/api';
import type { Approval } from '../../services/schema';
import { useLook } from '../../utils/live';
import { ago, instant, until } from '../../utils/time';
import { Failed } from '../common/Failed';
import { PageHead } from '../common/PageHead';
import { State } from '../common/State';
import { Answer } from './Answer';
import { useAsked } from './live';

/** Questions that are shown at most, the longest first. */
const SHOWN = 100;
/** How often it is looked again, in milliseconds. */
const LOOK_MS = 5000;

/** Everything that waits for the word of a person. */
export function ApprovalsPage() {
  useAsked();
  const look = useLook(LOOK_MS);
  const questions = useListApprovalsQuery(
    { limit: SHOWN },
    { pollingInterval: look, skipPollingIfUnfocused: true, refetchOnMountOrArgChange: true },
  );
  if (questions.isLoading) return <Loader m="xl" aria-label="The questions are loading" />;
  if (!questions.data) {
    return (
      <Failed
        what="The questions can’t be had"
        error={questions.error}
        again={() => void questions.refetch()}
      />
    );
  }
  const { items, total } = questions.data;
  return (
    <>
      <PageHead title="Approvals" />
      <div className="page page-narrow">
        {items.length === 0 && (
          <State
            icon={<IconChecklist size={40} stroke={1.3} aria-hidden />}
            title="Nothing waits for you"
            text="When a run asks a person, the question stands here until it is answered or its time is up."
          />
        )}
        {items.map((asked) => (
          <Question
            key={`${asked.run_id} ${asked.node} ${asked.iteration} ${asked.generation} ${asked.attempt}`}
            asked={asked}
          />
        ))}
        {total > items.length && (
          <Text size="sm" c="dimmed">
            These are the {items.length} that wait longest, of {total}.
          </Text>
        )}
      </div>
    </>
  );
}

function Question({ asked }: { asked: Approval }) {
  return (
    <Paper component="article" withBorder p="md" aria-label={`Question of ${asked.node}`}>
      <Text size="sm" c="dimmed">
        <Anchor component={Link} to={`/runs/${asked.run_id}`}>
          {asked.workflow_name}
        </Anchor>{' '}
        asks at {asked.node}
        {asked.iteration && ` ${asked.iteration}`},{' '}
        <span title={instant(asked.since)}>{ago(asked.since)}</span>
        {asked.expires_at && (
          <span title={instant(asked.expires_at)}>; rejected by itself {until(asked.expires_at)}</span>
        )}
      </Text>
      <Answer run={asked.run_id} asked={asked} isUnknown={asked.kind === 'unknown'} />
      {asked.kind === 'approval' && (
        <Text size="sm" c="dimmed" mt="sm">
          Yes leads to {led(asked.on_approve)}, no to {led(asked.on_reject)}.
        </Text>
      )}
    </Paper>
  );
}

const led = (nodes: string[]): string => (nodes.length > 0 ? nodes.join(', ') : 'no further node');
