import { Alert, Button, Group, Modal, Stack, TextInput } from '@mantine/core';
import { useState } from 'react';
import { allNodes } from '../../model/document';
import { sentenceOf, useSignalRunMutation } from '../../services/api';
import { useSeen } from '../../services/store';
import { JsonText } from '../form/JsonText';

/** Sends a signal to a run. One that comes early is kept. */
export function SignalDialog({
  opened,
  run,
  onClose,
}: {
  opened: boolean;
  run: string;
  onClose: () => void;
}) {
  const awaited = useSeen((state) => {
    const node = allNodes(state.workflow.document).find((found) => found.node.type === 'signal')?.node;
    return typeof node?.config?.name === 'string' ? node.config.name : '';
  });
  const [name, setName] = useState<string | null>(null);
  const [data, setData] = useState<unknown>(undefined);
  const [signal, { isLoading, error }] = useSignalRunMutation();
  const called = name ?? awaited;
  const send = async () => {
    const answer = await signal({
      id: run,
      'Idempotency-Key': crypto.randomUUID(),
      signal: { name: called, data },
    });
    if (answer.data) onClose();
  };
  return (
    <Modal
      opened={opened}
      onClose={onClose}
      title="Send a signal"
      closeButtonProps={{ 'aria-label': 'Close' }}
    >
      <Stack>
        <TextInput label="Name" value={called} onChange={(event) => setName(event.currentTarget.value)} />
        <JsonText label="Data" placeholder="any JSON" value={data} onSettle={setData} />
        {error && (
          <Alert color="red" variant="outline" title="It was not sent">
            {sentenceOf(error)}
          </Alert>
        )}
        <Group justify="flex-end">
          <Button variant="default" onClick={onClose}>
            Not now
          </Button>
          <Button loading={isLoading} disabled={called === ''} onClick={() => void send()}>
            Send
          </Button>
        </Group>
      </Stack>
    </Modal>
  );
}
