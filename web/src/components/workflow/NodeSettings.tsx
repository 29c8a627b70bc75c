import { Loader, Stack, Switch, TextInput } from '@mantine/core';
import { lazy, Suspense } from 'react';
import type { DefNode } from '../../model/document';
import { setDisabled, updateNode } from '../../services/state';
import { useAct } from '../../services/store';
import { Late } from './Late';

// The form and what it brings is loaded when the first node is opened.
const ConfigForm = lazy(async () => ({ default: (await import('./ConfigForm')).ConfigForm }));

/** Label and configuration of a node. */
export function NodeSettings({ node, readOnly }: { node: DefNode; readOnly: boolean }) {
  const act = useAct();
  return (
    <Stack gap="md">
      <Late
        value={node.name ?? ''}
        onSettle={(name) =>
          act(updateNode({ id: node.id, fields: { name: name.trim() === '' ? undefined : name } }))
        }
      >
        {(value, set, settle) => (
          <TextInput
            label="Label"
            placeholder={node.id}
            disabled={readOnly}
            value={value}
            onChange={(event) => set(event.currentTarget.value)}
            onBlur={settle}
          />
        )}
      </Late>
      <Switch
        label="Left out of runs"
        description="It does nothing, and its edges go on"
        disabled={readOnly}
        checked={node.disabled === true}
        onChange={(event) => act(setDisabled({ id: node.id, is: event.currentTarget.checked }))}
      />
      <Suspense fallback={<Loader size="sm" aria-label="The form is loading" />}>
        <ConfigForm key={`${node.id} ${node.type}`} node={node} readOnly={readOnly} />
      </Suspense>
    </Stack>
  );
}
