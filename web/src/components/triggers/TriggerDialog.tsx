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
import { FRESH, formOf, settingsOf, type Form, type Settings } from '../../model/triggers';
import {
  isFailure,
  sentenceOf,
  useCreateTriggerMutation,
  useReplaceTriggerMutation,
} from '../../services/api';
import type { Trigger, TriggerMade, WorkflowLine } from '../../services/schema';
import { Next } from './Next';
import { ScheduleFields } from './ScheduleFields';
import { WebhookFields } from './WebhookFields';

interface Props {
  workflows: WorkflowLine[];
  /** The one whose triggers are shown. */
  workflow: string | null;
  /** The one that is changed; without it another one is made. */
  trigger?: Trigger;
  onClose: () => void;
  onMade: (made: TriggerMade) => void;
}

const here = (): string => Intl.DateTimeFormat().resolvedOptions().timeZone || 'UTC';

/** Makes a trigger, or changes one; when it would fire is said before that. */
export function TriggerDialog({ workflows, workflow, trigger, onClose, onMade }: Props) {
  const [form, setForm] = useState<Form>(() =>
    trigger ? formOf(trigger.kind, trigger.settings) : { ...FRESH, zone: here() },
  );
  const [name, setName] = useState(trigger?.name ?? '');
  const [of, setOf] = useState(workflow);
  const [create, creating] = useCreateTriggerMutation();
  const [replace, replacing] = useReplaceTriggerMutation();
  const error = creating.error ?? replacing.error;
  const set = (fields: Partial<Form>) => setForm((before) => ({ ...before, ...fields }));
  const settings = read(form, trigger?.settings as Settings | undefined);
  const chosen = workflows.find((one) => one.id === of);
  const make = async () => {
    if (!settings || !of) return;
    const { data } = trigger
      ? await change(trigger, settings)
      : await create({
          'Idempotency-Key': crypto.randomUUID(),
          newTrigger: { workflow_id: of, kind: form.kind, name: name.trim(), settings },
        });
    if (data) onMade(data);
  };
  const change = ({ id, revision }: Trigger, to: Settings) =>
    replace({
      id,
      'If-Match': `"${revision}"`,
      replaceTrigger: { name: name.trim(), settings: to },
    });
  return (
    <Modal
      opened
      onClose={onClose}
      size="lg"
      title={trigger ? 'Change the trigger' : 'New trigger'}
      closeButtonProps={{ 'aria-label': 'Close' }}
    >
      <Stack>
        {!trigger && (
          <SegmentedControl
            aria-label="Kind"
            data={[
              { value: 'schedule', label: 'Schedule: by the clock' },
              { value: 'webhook', label: 'Webhook: by a request' },
            ]}
            value={form.kind}
            onChange={(kind) => set({ kind: kind === 'webhook' ? 'webhook' : 'schedule' })}
          />
        )}
        <Group grow align="start">
          <Select
            label="Workflow"
            disabled={trigger !== undefined}
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
          <Alert color="red" variant="outline" title={trigger ? 'It was not changed' : 'It was not made'}>
            {sentenceOf(error)}
            {isFailure(error) && error.problems?.map((one) => <div key={one.path}>{one.message}</div>)}
          </Alert>
        )}
        <Group justify="flex-end">
          <Button variant="default" onClick={onClose}>
            Not now
          </Button>
          <Button
            loading={creating.isLoading || replacing.isLoading}
            disabled={!settings || !of}
            onClick={() => void make()}
          >
            {trigger ? 'Change it' : 'Make it'}
          </Button>
        </Group>
      </Stack>
    </Modal>
  );
}

function read(form: Form, before: Settings | undefined): Settings | null {
  try {
    return settingsOf(form, before);
  } catch {
    return null;
  }
}
