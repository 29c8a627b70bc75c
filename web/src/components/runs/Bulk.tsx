import { Button } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useState } from 'react';
import { useCancelRunMutation } from '../../services/api';
import type { RunItem } from '../../services/schema';
import { Sure } from '../common/Sure';
import { hasEnded, type RunStatus } from '../../model/overlay';

/** Cancels the runs that are marked. */
export function Bulk({ runs, onDone }: { runs: RunItem[]; onDone: () => void }) {
  const [cancel] = useCancelRunMutation();
  const [asks, setAsks] = useState(false);
  const open = runs.filter((run) => !hasEnded(run.status as RunStatus));
  if (runs.length === 0) return null;
  const all = async () => {
    const answers = await Promise.all(
      open.map((run) => cancel({ id: run.id, 'Idempotency-Key': crypto.randomUUID(), nothing: {} })),
    );
    const failed = answers.filter((answer) => answer.error).length;
    notifications.show({
      color: failed > 0 ? 'red' : 'indigo',
      message: failed > 0 ? `${failed} of ${open.length} could not be cancelled` : `${open.length} cancelled`,
    });
    onDone();
  };
  return (
    <>
      <Button size="xs" variant="default" disabled={open.length === 0} onClick={() => setAsks(true)}>
        {open.length === 0 ? 'None of them is open' : `Cancel ${open.length}`}
      </Button>
      <Sure
        opened={asks}
        title={`Cancel ${open.length} runs?`}
        text="What they have begun is given up. A run that was cancelled can be run again from a node."
        action="Cancel them"
        onClose={() => setAsks(false)}
        onSure={() => void all()}
      />
    </>
  );
}
