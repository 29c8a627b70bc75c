import { Alert, Button, Group, Loader, Modal, Stack, Text } from '@mantine/core';
import { lazy, Suspense, useState } from 'react';
import { useSeen } from '../../services/store';
import { sentenceOf, useStartWorkflowMutation, isFailure } from '../../services/api';

const InputForm = lazy(async () => ({ default: (await import('../form/InputForm')).InputForm }));

interface Props {
  opened: boolean;
  id: string;
  /** Saves first, where something is not saved. */
  save: (() => Promise<boolean>) | null;
  onClose: () => void;
  onStarted: (run: string) => void;
}

/** Starts a run: its input by the workflow's own schema, as it was the last time. */
export function RunDialog({ opened, id, save, onClose, onStarted }: Props) {
  const schema = useSeen((state) => state.workflow.document.input);
  const problems = useSeen((state) => state.workflow.problems.length);
  const [input, setInput] = useState<unknown>(() => remembered(id));
  const [start, { isLoading, error, reset }] = useStartWorkflowMutation();
  const [isSaving, setSaving] = useState(false);
  const run = async () => {
    if (save) {
      setSaving(true);
      const isSaved = await save();
      setSaving(false);
      if (!isSaved) return onClose();
    }
    const { data } = await start({
      id,
      'Idempotency-Key': crypto.randomUUID(),
      start: { input: input ?? {} },
    });
    if (!data) return;
    sessionStorage.setItem(nameOf(id), JSON.stringify(input ?? null));
    onStarted('run_id' in data && data.run_id ? data.run_id : '');
    onClose();
  };
  return (
    <Modal
      opened={opened}
      onClose={() => {
        reset();
        onClose();
      }}
      title="Run this workflow"
      size="lg"
      closeButtonProps={{ 'aria-label': 'Close' }}
    >
      <Stack>
        {problems > 0 && (
          <Alert color="orange" variant="outline">
            A workflow with problems can’t be started. Mend them first.
          </Alert>
        )}
        <Suspense fallback={<Loader size="sm" aria-label="The form is loading" />}>
          <InputForm schema={schema} value={input} onChange={setInput} />
        </Suspense>
        {error && (
          <Alert color="red" variant="outline" title="It was not started">
            {sentenceOf(error)}
            {isFailure(error) &&
              error.problems?.map((problem) => (
                <Text key={`${problem.path} ${problem.message}`} size="sm">
                  <code>{problem.path}</code> {problem.message}
                </Text>
              ))}
          </Alert>
        )}
        <Group justify="flex-end">
          <Button variant="default" onClick={onClose}>
            Not now
          </Button>
          <Button loading={isLoading || isSaving} disabled={problems > 0} onClick={() => void run()}>
            {save ? 'Save and start' : 'Start the run'}
          </Button>
        </Group>
      </Stack>
    </Modal>
  );
}

const nameOf = (id: string) => `callboard.input.${id}`;

/** What the workflow was started with last, in this tab: inputs may be private. */
function remembered(id: string): unknown {
  try {
    return JSON.parse(sessionStorage.getItem(nameOf(id)) ?? 'null') as unknown;
  } catch {
    return null;
  }
}
