import type { RegistryWidgetsType, WidgetProps } from '@rjsf/utils';
import { Select, Switch, Textarea } from '@mantine/core';
import { titled } from './FieldTemplate';

function Choice({ id, value, options, disabled, onChange, schema }: WidgetProps) {
  const all = (options.enumOptions ?? []).map((option) => String(option.value as string));
  return (
    <Select
      id={id}
      data={all}
      value={value === undefined || value === null ? null : String(value as string)}
      placeholder={schema.default === undefined ? '' : String(schema.default as string)}
      clearable
      disabled={disabled}
      onChange={(next) => {
        const found = (options.enumOptions ?? []).find((option) => String(option.value as string) === next);
        onChange(found?.value);
      }}
    />
  );
}

function Flag({ id, value, label, disabled, onChange, schema }: WidgetProps) {
  const is = value ?? schema.default;
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
