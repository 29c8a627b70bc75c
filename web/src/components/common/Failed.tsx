import { Alert, Button, Group } from '@mantine/core';
import { IconAlertTriangle } from '@tabler/icons-react';
import { sentenceOf } from '../../services/api';

/** What could not be had, why, and the way to try again. */
export function Failed({ what, error, again }: { what: string; error: unknown; again?: () => void }) {
  return (
    <Alert
      className="failed"
      color="red"
      variant="outline"
      icon={<IconAlertTriangle aria-hidden />}
      title={what}
      m="md"
    >
      <Group justify="space-between">
        <span>{sentenceOf(error)}</span>
        {again && (
          <Button variant="default" size="xs" onClick={again}>
            Try again
          </Button>
        )}
      </Group>
    </Alert>
  );
}
