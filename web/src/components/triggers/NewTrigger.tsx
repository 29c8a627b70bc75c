import {
  Alert,
  Button,
  Group,
  Modal,
  SegmentedControl,
  Select,
  Stack,
  Textarea,
  TextInput,
} from '@mantine/core';
import { useState } from 'react';
import { FRESH, settingsOf, type Form } from '../../model/triggers';
import { isFailure, sentenceOf, useCreateTriggerMutation } from '../../services/api';
import type { TriggerMade, WorkflowLine } from '../../services/schema';
import { Next } from './Next';
import { ScheduleFields } from './ScheduleFields';
import { WebhookFields } from './WebhookFields';

interface Props {
  workflows: WorkflowLine[];
  /** The one whose triggers are shown. */
  workflow: string | null;
  onClose: () => void;
  onMade: (made: TriggerMade) => void;
}

const here = (): string => Intl.DateTimeFormat().resolvedOptions().timeZone || 'UTC';

/** Makes a trigger; when it would fire is said before it is made. */
export function NewTrigger({ workflows, workflow, onClose, onMade }: Props) {
  const [form, setForm] = useState<Form>(() => ({ ...FRESH, zone: here() }));
  const [name, setName] = useState('');
  const [of, setOf] = useState(workflow);
  const [create, { isLoading, error }] = useCreateTriggerMutation();
  const set = (fields: Partial<Form>) => setForm((before) => ({ ...before, ...fields }));
  const settings = read(form);
  const chosen = workflows.find((one) => one.id === of);
  const make = async () => {
    if (!settings || !of) return;
    const { data } = await create({
      'Idempotency-Key': crypto.randomUUID(),
      newTrigger: { workflow_id: of, kind: form.kind, name: name.trim(), settings },
    });
    if (data) onMade(data);
  };
  return (
    <Modal
      opened
      onClose={onClose}
      size="lg"
      title="New trigger"
      closeButtonProps={{ 'aria-label': 'Close' }}
    >
      <Stack>
        <SegmentedControl
          aria-label="Kind"
          data={[
            { value: 'schedule', label: 'Schedule: by the clock' },
            { value: 'webhook', label: 'Webhook: by a request' },
          ]}
          value={form.kind}
          onChange={(kind) => set({ kind: kind === 'webhook' ? 'webhook' : 'schedule' })}
        />
        <Group grow align="start">
          <Select
            label="Workflow"
            placeholder="Which one it starts"
            searchable
            data={workflows.map((one) => ({ value: one.id, label: one.name }))}
            value={of}
            error={chosen?.version === 0 ? 'It was never published, so it can’t be started yet' : null}
            onChange={setOf}
          />
          <TextInput
            label="Name"
            placeholder={form.kind === 'schedule' ? 'every morning' : 'pushes'}
            value={name}
            onChange={(event) => setName(event.currentTarget.value)}
          />
        </Group>
        {form.kind === 'schedule' ? (
          <ScheduleFields form={form} set={set} />
        ) : (
          <WebhookFields form={form} set={set} />
        )}
        <Textarea
          classNames={{ input: 'grows' }}
          className="code-text"
          label="Input of the run"
          description={
            form.kind === 'schedule'
              ? 'JSON with templates; they see scheduled_at. It may be left empty.'
              : 'JSON with templates; they see body and headers. Left empty it is the body.'
          }
          placeholder={
            form.kind === 'schedule' ? '{"day": "{{ scheduled_at }}"}' : '{"day": "{{ body.day }}"}'
          }
          spellCheck={false}
          error={settings ? null : 'This is no JSON'}
          value={form.input}
          onChange={(event) => set({ input: event.currentTarget.value })}
        />
        {settings && <Next kind={form.kind} settings={settings} />}
        {error && (
          <Alert color="red" variant="outline" title="It was not made">
            {sentenceOf(error)}
            {isFailure(error) && error.problems?.map((one) => <div key={one.path}>{one.message}</div>)}
          </Alert>
        )}
        <Group justify="flex-end">
          <Button variant="default" onClick={onClose}>
            Not now
          </Button>
          <Button loading={isLoading} disabled={!settings || !of} onClick={() => void make()}>
            Make it
          </Button>
        </Group>
      </Stack>
    </Modal>
  );
}

function read(form: Form): Record<string, unknown> | null {
  try {
    return settingsOf(form);
  } catch {
    return null;
  }
}
