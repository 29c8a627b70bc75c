import { NumberInput, Select, Stack, Switch, Text, TextInput } from '@mantine/core';
import type { Config, DefNode } from '../../model/document';
import { updateNode } from '../../services/state';
import { useAct } from '../../services/store';
import { Late } from './Late';

const JOINS = [
  { value: 'all', label: 'all that lead to it have ended, and one was taken' },
  { value: 'any', label: 'the first of them is taken' },
  { value: 'settle', label: 'all of them have ended, however' },
];

const ON_ERROR = [
  { value: 'fail', label: 'the run fails' },
  { value: 'branch', label: 'the run goes on by the branch “error”' },
];

/** How a node is tried again, and what its failure means. What is not set is not written. */
export function FailuresForm({ node, readOnly }: { node: DefNode; readOnly: boolean }) {
  const act = useAct();
  const set = (fields: Partial<DefNode>) => act(updateNode({ id: node.id, fields }));
  const retry = (node.retry ?? null) as Config | null;
  const onError = typeof node.on_error === 'string' ? node.on_error : null;
  const join = typeof node.join === 'string' ? node.join : null;
  const hasDefault = typeof node.on_error === 'object' && node.on_error !== null;
  return (
    <Stack gap="md">
      <NumberInput
        label="Tries again"
        description="How often a failed attempt is repeated, where that may help"
        placeholder="as its kind does"
        min={0}
        max={100}
        disabled={readOnly}
        value={typeof retry?.max_retries === 'number' ? retry.max_retries : ''}
        onChange={(value) =>
          set({ retry: typeof value === 'number' ? { ...retry, max_retries: value } : undefined })
        }
      />
      <Late
        value={typeof node.timeout === 'string' ? node.timeout : ''}
        onSettle={(timeout) => set({ timeout: timeout.trim() === '' ? undefined : timeout.trim() })}
      >
        {(value, change, settle) => (
          <TextInput
            label="Time for one attempt"
            description="Such as 250ms, 30s or 1h30m"
            placeholder="no bound"
            disabled={readOnly}
            value={value}
            onChange={(event) => change(event.currentTarget.value)}
            onBlur={settle}
          />
        )}
      </Late>
      <Select
        label="When it has failed"
        data={ON_ERROR}
        placeholder={hasDefault ? 'it completes with a default of its own' : 'the run fails'}
        clearable
        disabled={readOnly}
        value={onError}
        onChange={(value) => set({ on_error: value ?? undefined })}
      />
      <Select
        label="It starts when"
        data={JOINS}
        placeholder={node.join ? 'as the definition says' : 'all that lead to it have ended'}
        clearable
        disabled={readOnly}
        value={join}
        onChange={(value) => set({ join: value ?? undefined })}
      />
      <Switch
        label="At most once"
        description="It is never repeated. When nobody knows whether it was done, a person is asked."
        disabled={readOnly}
        checked={node.effect === 'at_most_once'}
        onChange={(event) => set({ effect: event.currentTarget.checked ? 'at_most_once' : undefined })}
      />
      <Text size="xs" c="dimmed">
        A provider that asks to wait is always waited for.
      </Text>
    </Stack>
  );
}
