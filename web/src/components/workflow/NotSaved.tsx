import { Alert, Button, Group } from '@mantine/core';
import { StuckText } from './StuckText';
import type { Save } from './save';

/** Why what is edited is not saved, and the way out. */
export function NotSaved({ save, onConflict }: { save: Save; onConflict: () => void }) {
  if (save.isStuck && save.phase === 'failed') return <StuckText save={save} />;
  if (save.phase !== 'conflict' && save.phase !== 'failed') return null;
  const isConflict = save.phase === 'conflict';
  return (
    <Alert className="editor-note" color="red" variant="outline" p="xs" role="alert">
      <Group justify="space-between">
        <span>
          {isConflict
            ? 'Not saved: somebody else has changed this workflow meanwhile.'
            : `Not saved: ${save.why ?? ''}`}
        </span>
        <Button
          size="compact-xs"
          variant="default"
          onClick={() => (isConflict ? onConflict() : void save.save())}
        >
          {isConflict ? 'See both and decide' : 'Try again'}
        </Button>
      </Group>
    </Alert>
  );
}
