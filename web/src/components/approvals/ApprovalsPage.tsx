import { Anchor, Loader, Paper, Text } from '@mantine/core';
import { IconChecklist } from '@tabler/icons-react';
import { Link } from 'react-router';
import { useQuestionsQuery } from '../../services/api';
import { ago, instant } from '../../utils/time';
import { Failed } from '../common/Failed';
import { PageHead } from '../common/PageHead';
import { State } from '../common/State';
import { Answer } from './Answer';

/** Everything that waits for the word of a person. */
export function ApprovalsPage() {
  const questions = useQuestionsQuery(undefined, { pollingInterval: 5000, skipPollingIfUnfocused: true });
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
  return (
    <>
      <PageHead title="Approvals" />
      <div className="page page-narrow">
        {questions.data.length === 0 && (
          <State
            icon={<IconChecklist size={40} stroke={1.3} aria-hidden />}
            title="Nothing waits for you"
            text="When a run asks a person, the question stands here until it is answered or its time is up."
          />
        )}
        {questions.data.map(({ run, step }) => (
          <Paper
            key={`${run.id} ${step.node} ${step.iteration} ${step.generation}`}
            component="article"
            withBorder
            p="md"
            aria-label={`Question of ${step.node}`}
          >
            <Text size="sm" c="dimmed">
              <Anchor component={Link} to={`/runs/${run.id}`} className="id">
                {run.id}
              </Anchor>{' '}
              asks at {step.node}
              {step.iteration && ` ${step.iteration}`},{' '}
              <span title={step.started_at ? instant(step.started_at) : ''}>
                {step.started_at ? ago(step.started_at) : ''}
              </span>
            </Text>
            <Answer run={run.id} step={step} />
          </Paper>
        ))}
      </div>
    </>
  );
}
