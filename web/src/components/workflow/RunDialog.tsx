import { Alert, Button, Group, Loader, Modal, Stack, Text } from '@mantine/core';
import { lazy, Suspense, useState } from 'react';
import { useSeen } from '../../services/store';
import { sentenceOf, useGetVersionQuery, useStartWorkflowMutation, isFailure } from '../../services/api';
import type { Save } from './save';

const InputForm = lazy(async () => ({ default: (await import('../form/InputForm')).InputForm }));

interface Props {
  opened: boolean;
  id: string;
  /** The draft is run, which is saved first; else the latest version. */
  isDraft: boolean;
  save: Save;
  onClose: () => void;
  onStarted: (run: string) => void;
}

/** Starts a run: its input by the workflow's own schema, as it was the last time. */
export function RunDialog({ opened, id, isDraft, save, onClose, onStarted }: Props) {
  const drawn = useSeen((state) => state.workflow.document.input);
  // The version may take another input than the draft that is drawn.
  const isOther = opened && !isDraft && save.isDraft;
  const version = useGetVersionQuery({ id, n: save.version }, { skip: !isOther });
  const published = (version.data?.definition as { input?: unknown } | null | undefined)?.input;
  const schema = isOther ? published : drawn;
  const found = useSeen((state) => state.workflow.problems.length);
  const problems = isOther ? 0 : found;
  const [input, setInput] = useState<unknown>(() => remembered(id));
  const [start, { isLoading, error, reset }] = useStartWorkflowMutation();
  const [isSaving, setSaving] = useState(false);
  const run = async () => {
    if (isDraft) {
      setSaving(true);
      const isSaved = await save.save();
      setSaving(false);
      if (!isSaved) return onClose();
    }
    const { data } = await start({
      id,
      'Idempotency-Key': crypto.randomUUID(),
      start: { input: input ?? {}, ...(isDraft ? { draft: true } : {}) },
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
      title={isDraft ? 'Run the draft' : `Run version ${save.version}`}
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
          <InputForm key={String(isOther)} schema={schema} value={input} onChange={setInput} />
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
          <Button
            loading={isLoading || isSaving}
            disabled={problems > 0 || version.isFetching}
            onClick={() => void run()}
          >
            Start the run
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
