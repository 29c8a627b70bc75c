import type { RegistryWidgetsType, WidgetProps } from '@rjsf/utils';
import { Select, Switch, Textarea } from '@mantine/core';
import { write } from '../../model/lossless';
import { titled } from './FieldTemplate';

/** A choice as the list knows it: by its JSON where it is no text. */
const named = (value: unknown): string => (typeof value === 'string' ? value : write(value));

function Choice({ id, value, options, disabled, onChange, schema }: WidgetProps) {
  const all = (options.enumOptions ?? []).map((option) => ({
    label: option.label,
    value: named(option.value),
  }));
  return (
    <Select
      id={id}
      data={all}
      value={value === undefined || value === null ? null : named(value)}
      placeholder={schema.default === undefined ? '' : named(schema.default)}
      clearable
      disabled={disabled}
      onChange={(next) => {
        const found = (options.enumOptions ?? []).find((option) => named(option.value) === next);
        onChange(found?.value);
      }}
    />
  );
}

function Flag({ id, value, label, disabled, onChange, schema }: WidgetProps) {
  const is: unknown = value ?? schema.default;
  return (
    <Switch
      id={id}
      label={titled(label)}
      description={schema.description}
      checked={is === true}
      disabled={disabled}
      onChange={(event) => onChange(event.currentTarget.checked)}
    />
  );
}

function LongText({ id, value, disabled, onChange, options }: WidgetProps) {
  return (
    <Textarea
      classNames={{ input: 'grows' }}
      id={id}
      value={typeof value === 'string' ? value : ''}
      disabled={disabled}
      onChange={(event) =>
        onChange(event.currentTarget.value === '' ? options.emptyValue : event.currentTarget.value)
      }
    />
  );
}

export const widgets: RegistryWidgetsType = {
  SelectWidget: Choice,
  CheckboxWidget: Flag,
  TextareaWidget: LongText,
};
