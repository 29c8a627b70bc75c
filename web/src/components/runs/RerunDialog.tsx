import { Alert, Button, Checkbox, Group, Modal, Select, Stack, Text } from '@mantine/core';
import { useState } from 'react';
import { labelOf, nodesOf } from '../../model/document';
import { sentenceOf, useRerunRunMutation, type Run } from '../../services/api';
import { useSeen } from '../../services/store';
import { JsonText } from '../form/JsonText';
import { goesOn } from '../workflow/follow';

/** Runs an ended run again from a node; what lies before it is kept. */
export function RerunDialog({ opened, run, onClose }: { opened: boolean; run: Run; onClose: () => void }) {
  const nodes = useSeen((state) => nodesOf(state.workflow.document));
  const selected = useSeen((state) => state.workflow.selectedNode);
  const failed = useSeen((state) => state.workflow.overlay?.error?.node);
  const [chosen, setChosen] = useState<string | null>(null);
  const [edits, setEdits] = useState(false);
  const [input, setInput] = useState<unknown>(run.input);
  const [rerun, { isLoading, error }] = useRerunRunMutation();
  const ids = nodes.map((node) => node.id);
  const from = [chosen, selected, failed, ids[0]].find((id) => id && ids.includes(id)) ?? null;
  const begin = async () => {
    if (!from) return;
    const body = edits ? { from, input } : { from };
    const { data } = await rerun({ id: run.id, 'Idempotency-Key': crypto.randomUUID(), rerun: body });
    if (!data) return;
    goesOn(run.id);
    onClose();
  };
  return (
    <Modal
      opened={opened}
      onClose={onClose}
      title="Run it again"
      closeButtonProps={{ 'aria-label': 'Close' }}
    >
      <Stack>
        <Select
          label="From"
          description="It and what follows runs again; what lies before is kept and costs nothing"
          data={nodes.map((node) => ({ value: node.id, label: labelOf(node) }))}
          value={from}
          allowDeselect={false}
          onChange={setChosen}
        />
        <Checkbox
          label="With another input"
          checked={edits}
          onChange={(event) => setEdits(event.currentTarget.checked)}
        />
        {edits && <JsonText label="Input" value={input} onSettle={setInput} />}
        {error && (
          <Alert color="red" variant="outline" title="It was not begun">
            {sentenceOf(error)}
          </Alert>
        )}
        {nodes.length === 0 && <Text c="dimmed">It has no nodes.</Text>}
        <Group justify="flex-end">
          <Button variant="default" onClick={onClose}>
            Not now
          </Button>
          <Button loading={isLoading} disabled={!from} onClick={() => void begin()}>
            Run again
          </Button>
        </Group>
      </Stack>
    </Modal>
  );
}
