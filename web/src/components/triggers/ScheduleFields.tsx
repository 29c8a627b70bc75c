import { Group, SegmentedControl, Select, TextInput } from '@mantine/core';
import type { Form } from '../../model/triggers';

const ZONES = ['UTC', ...Intl.supportedValuesOf('timeZone').filter((zone) => zone !== 'UTC')];

/** When a schedule fires, and what becomes of occasions that can't be kept. */
export function ScheduleFields({ form, set }: { form: Form; set: (fields: Partial<Form>) => void }) {
  return (
    <>
      <SegmentedControl
        aria-label="When"
        data={[
          { value: 'cron', label: 'At times, by a cron' },
          { value: 'every', label: 'Again and again' },
        ]}
        value={form.by}
        onChange={(by) => set({ by: by === 'every' ? 'every' : 'cron' })}
      />
      {form.by === 'cron' ? (
        <Group grow align="start">
          <TextInput
            label="Cron"
            description="Minute, hour, day, month, day of the week"
            spellCheck={false}
            value={form.cron}
            onChange={(event) => set({ cron: event.currentTarget.value })}
          />
          <Select
            label="Zone"
            description="From whose wall it is read"
            searchable
            allowDeselect={false}
            data={ZONES.includes(form.zone) ? ZONES : [form.zone, ...ZONES]}
            limit={60}
            value={form.zone}
            onChange={(zone) => set({ zone: zone ?? 'UTC' })}
          />
        </Group>
      ) : (
        <TextInput
          label="Every"
          description="A duration from 1s to 366 days, such as 15m or 1h30m"
          value={form.every}
          onChange={(event) => set({ every: event.currentTarget.value })}
        />
      )}
      <Group grow align="start">
        <Select
          label="What nobody was there for"
          allowDeselect={false}
          data={[
            { value: 'skip', label: 'is left out' },
            { value: 'last', label: 'starts one run, for the last of it' },
          ]}
          value={form.missed}
          onChange={(missed) => set({ missed: missed === 'last' ? 'last' : 'skip' })}
        />
        <Select
          label="While the run before goes on"
          allowDeselect={false}
          data={[
            { value: 'allow', label: 'another one starts beside it' },
            { value: 'skip', label: 'the occasion is left out' },
            { value: 'queue_one', label: 'one waits for its end' },
          ]}
          value={form.overlap}
          onChange={(overlap) => set({ overlap: overlap ?? 'allow' })}
        />
      </Group>
    </>
  );
}
