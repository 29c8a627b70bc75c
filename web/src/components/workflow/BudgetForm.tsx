import { Fieldset, NumberInput, Select } from '@mantine/core';
import type { Config } from '../../model/document';
import { updateWorkflow } from '../../services/state';
import { useAct } from '../../services/store';

const LIMITS: [string, string][] = [
  ['calls', 'Calls of models'],
  ['tokens', 'Tokens'],
  ['seconds', 'Seconds'],
];

/** What a run may use at most. */
export function BudgetForm({ settings, readOnly }: { settings: Config; readOnly: boolean }) {
  const act = useAct();
  const budget = (settings.budget ?? {}) as Config;
  const set = (name: string, value: unknown) => {
    const fields = Object.entries({ ...budget, [name]: value }).filter(([, field]) => field !== undefined);
    const next = fields.length > 0 ? Object.fromEntries(fields) : undefined;
    const whole = Object.entries({ ...settings, budget: next }).filter(([, field]) => field !== undefined);
    act(updateWorkflow({ settings: whole.length > 0 ? Object.fromEntries(whole) : undefined }));
  };
  return (
    <Fieldset legend="Budget of a run" disabled={readOnly}>
      {LIMITS.map(([name, label]) => (
        <NumberInput
          key={name}
          label={label}
          placeholder="no bound"
          min={1}
          mb="xs"
          value={typeof budget[name] === 'number' ? budget[name] : ''}
          onChange={(value) => set(name, typeof value === 'number' ? value : undefined)}
        />
      ))}
      <Select
        label="When it is used up"
        placeholder="the run fails"
        clearable
        data={[
          { value: 'stop', label: 'the run fails' },
          { value: 'wrap_up', label: 'it completes with what is there' },
        ]}
        value={typeof budget.on_breach === 'string' ? budget.on_breach : null}
        onChange={(value) => set('on_breach', value ?? undefined)}
      />
    </Fieldset>
  );
}
