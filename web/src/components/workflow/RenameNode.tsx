import { Alert, Button, Code, Group, Stack, Text, TextInput } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useState } from 'react';
import { useStore } from 'react-redux';
import type { Definition } from '../../model/document';
import { isFailure, sentenceOf, useRenameNodeMutation } from '../../services/api';
import { renamed } from '../../services/state';
import { useAct, type State } from '../../services/store';
import { settleTyping } from './typing';

/** Gives a node another id: edges, expressions and templates that mean it follow. */
export function RenameNode({ id }: { id: string }) {
  const act = useAct();
  const store = useStore<State>();
  const [to, setTo] = useState<string | null>(null);
  const [isLate, setLate] = useState(false);
  const [rename, { error, isLoading, reset }] = useRenameNodeMutation();
  const document = () => store.getState().workflow.document;
  const take = async () => {
    if (to === null) return;
    await settleTyping();
    const before = document();
    const answer = await rename({ askRename: { definition: before, from: id, to } });
    if (!answer.data) return;
    // What was edited while the server looked would be lost.
    setLate(document() !== before);
    if (document() !== before) return;
    const { changed, unsure } = answer.data;
    act(renamed({ document: answer.data.definition as Definition, from: id, to }));
    const places = changed.length === 1 ? '1 place has' : `${changed.length} places have`;
    notifications.show({ title: `${id} is ${to} now`, message: `${places} changed.` });
    if (unsure.length > 0) {
      notifications.show({
        title: 'Look at these yourself',
        message: `They may mean ${id}, and can’t be told: ${unsure.join(', ')}`,
        color: 'orange',
        autoClose: false,
      });
    }
  };
  return (
    <Stack gap="xs">
      {to === null ? (
        <Group gap="xs">
          <Text size="sm">
            Id <Code>{id}</Code>
          </Text>
          <Button size="compact-xs" variant="default" onClick={() => setTo(id)}>
            Change it…
          </Button>
        </Group>
      ) : (
        <form
          onSubmit={(event) => {
            event.preventDefault();
            void take();
          }}
        >
          <Group gap="xs" align="end" wrap="nowrap">
            <TextInput
              size="xs"
              flex={1}
              label="Id"
              description="Letters, digits, - and _. All that refers to it follows."
              data-autofocus
              value={to}
              error={isFailure(error) ? (error.problems?.[0]?.message ?? sentenceOf(error)) : null}
              onChange={(event) => {
                reset();
                setTo(event.currentTarget.value.trim());
              }}
            />
            <Button size="xs" type="submit" loading={isLoading} disabled={to === '' || to === id}>
              Rename
            </Button>
          </Group>
        </form>
      )}
      {isLate && (
        <Alert color="orange" variant="outline" p="xs">
          It was edited meanwhile, so it was not renamed. Try again.
        </Alert>
      )}
    </Stack>
  );
}
