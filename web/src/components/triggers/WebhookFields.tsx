import { Group, Select, TextInput } from '@mantine/core';
import type { Form } from '../../model/triggers';

/** How a sender says who it is, which deliveries count, and whether it waits. */
export function WebhookFields({ form, set }: { form: Form; set: (fields: Partial<Form>) => void }) {
  return (
    <>
      <Select
        label="How deliveries are signed"
        allowDeselect={false}
        data={[
          { value: 'github', label: 'as by GitHub: X-Hub-Signature-256' },
          { value: 'standard', label: 'by Standard Webhooks' },
          { value: 'bearer', label: 'not at all: the secret itself is sent as a bearer' },
        ]}
        value={form.scheme}
        onChange={(scheme) => set({ scheme: scheme ?? 'github' })}
      />
      <Group grow align="start">
        <TextInput
          label="Only if"
          description="An expression over body and headers; it may be left empty"
          placeholder='body.ref == "refs/heads/main"'
          spellCheck={false}
          value={form.condition}
          onChange={(event) => set({ condition: event.currentTarget.value })}
        />
        <TextInput
          label="The sender waits"
          description="For the end of the run, at most 30s; it may be left empty"
          placeholder="10s"
          value={form.wait}
          onChange={(event) => set({ wait: event.currentTarget.value })}
        />
      </Group>
    </>
  );
}
