import { Alert, Button, Group, Loader, Modal, Stack, Text } from '@mantine/core';
import { lazy, Suspense, useMemo, useState } from 'react';
import { upstream } from '../../model/document';
import { trialOf, type TrialOf, type Trying } from '../../model/pins';
import { useSeen } from '../../services/store';
import { sentenceOf, useGetVersionQuery, useStartWorkflowMutation, isFailure } from '../../services/api';
import type { Save } from './save';

const InputForm = lazy(async () => ({ default: (await import('../form/InputForm')).InputForm }));

interface Props {
  opened: boolean;
  id: string;
  /** The draft is run, which is saved first; else the latest version. */
  isDraft: boolean;
  /** What of it is run, where that is not all. */
  trying: Trying | null;
  save: Save;
  onClose: () => void;
  onStarted: (run: string) => void;
}

/** Starts a run: its input by the workflow's own schema, as it was the last time. */
export function RunDialog({ opened, id, isDraft, trying, save, onClose, onStarted }: Props) {
  const drawn = useSeen((state) => state.workflow.document.input);
  // The version may take another input than the draft that is drawn.
  const isOther = opened && !isDraft && save.isDraft;
  const version = useGetVersionQuery({ id, n: save.version }, { skip: !isOther });
  const published = (version.data?.definition as { input?: unknown } | null | undefined)?.input;
  const schema = isOther ? published : drawn;
  const found = useSeen((state) => state.workflow.problems.length);
  const problems = isOther ? 0 : found;
  const trial = useTrial(trying);
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
      start: { input: input ?? {}, ...(isDraft ? { draft: true, ...trial } : {}) },
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
      title={isDraft ? titleOf(trying) : `Run version ${save.version}`}
      size="lg"
      closeButtonProps={{ 'aria-label': 'Close' }}
    >
      <Stack>
        {problems > 0 && (
          <Alert color="orange" variant="outline">
            A workflow with problems can’t be started. Mend them first.
          </Alert>
        )}
        {isDraft && <Trial trial={trial} trying={trying} />}
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

function titleOf(trying: Trying | null): string {
  if (!trying) return 'Run the draft';
  return {
    until: `Run until ${trying.node}`,
    from: `Run from ${trying.node}`,
    only: `Run only ${trying.node}`,
  }[trying.way];
}

/** What is given, so that it need not run. */
function useTrial(trying: Trying | null): TrialOf {
  const document = useSeen((state) => state.workflow.document);
  const pins = useSeen((state) => state.workflow.pins);
  // Only where it counts: it changes with each event.
  const overlay = useSeen((state) => (trying ? state.workflow.overlay : null));
  return useMemo(() => trialOf(document, pins, overlay, trying), [document, pins, overlay, trying]);
}

function Trial({ trial, trying }: { trial: TrialOf; trying: Trying | null }) {
  const document = useSeen((state) => state.workflow.document);
  const given = Object.keys(trial.pins);
  const before = trying?.way === 'only' ? [...upstream(document, trying.node)] : [];
  const missing = before.filter((id) => !given.includes(id));
  return (
    <>
      {given.length > 0 && <Text size="sm">Given, and not run: {given.join(', ')}.</Text>}
      {missing.length > 0 && (
        <Alert color="orange" variant="outline" p="xs">
          Nothing is there of {missing.join(', ')}: pin an output, or show a run that came by.
        </Alert>
      )}
    </>
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
