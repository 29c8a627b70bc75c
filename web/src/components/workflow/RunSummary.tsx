import { Alert, Button, Group, Text } from '@mantine/core';
import { Link } from 'react-router';
import { runStatus } from '../../model/overlay';
import { saidOf } from '../../model/pins';
import { runShown, select } from '../../services/state';
import { useAct, useSeen } from '../../services/store';
import { between, span } from '../../utils/time';
import { Status } from '../common/Status';

/** The run that is shown on the drawing. */
export function RunSummary({ isItsPage }: { isItsPage: boolean }) {
  const act = useAct();
  const overlay = useSeen((state) => state.workflow.overlay);
  if (!overlay) return null;
  const ms = between(overlay.startedAt, overlay.endedAt);
  const status = runStatus(overlay);
  const failed = overlay.error?.node;
  return (
    <section className="run-summary" aria-label="The run that is shown">
      <Group justify="space-between">
        <div className="facts">
          {status && <Status of={status} />}
          {ms !== null && overlay.endedAt && <span>{span(ms)}</span>}
          {overlay.trial && <span>{saidOf(overlay.trial)}</span>}
          {overlay.generation > 1 && <span>generation {overlay.generation}</span>}
        </div>
        {!isItsPage && (
          <Group gap="xs">
            <Button component={Link} to={`/runs/${overlay.run}`} size="compact-xs" variant="default">
              Open the run
            </Button>
            <Button size="compact-xs" variant="subtle" color="gray" onClick={() => act(runShown(null))}>
              Hide
            </Button>
          </Group>
        )}
      </Group>
      {overlay.error && (
        <Alert color="red" variant="outline" mt="xs" title={overlay.error.code}>
          <Text size="sm">{overlay.error.message}</Text>
          {failed && (
            <Button size="compact-xs" variant="default" mt="xs" onClick={() => act(select(failed))}>
              Go to the node
            </Button>
          )}
        </Alert>
      )}
    </section>
  );
}
