import type { FieldProps, RegistryFieldsType } from '@rjsf/utils';
import { Textarea, TextInput } from '@mantine/core';
import { AgentConfig } from '../agents/AgentConfig';
import { ExpressionField } from './ExpressionField';
import type { FormContext } from './context';
import { JsonText } from './JsonText';
import { Pairs } from './Pairs';
import { Rules } from './Rules';

/** Hands a value on as the library wants it: what is empty is left out. */
const setter =
  ({ onChange, fieldPathId }: FieldProps) =>
  (value: unknown) =>
    onChange(value === '' ? undefined : value, fieldPathId.path);

const contextOf = ({ registry }: FieldProps): FormContext => (registry.formContext ?? {}) as FormContext;

function Written(props: FieldProps & { as: 'template' | 'expression' }) {
  const value: unknown = props.formData;
  const set = setter(props);
  // A template may be any JSON; what is no text is edited as that.
  if (value !== undefined && value !== null && typeof value !== 'string') {
    return (
      <JsonText id={props.fieldPathId.$id} label="" value={value} disabled={props.disabled} onSettle={set} />
    );
  }
  return (
    <ExpressionField
      id={props.fieldPathId.$id}
      label={props.name}
      as={props.as}
      node={contextOf(props).node ?? null}
      value={value ?? ''}
      disabled={props.disabled}
      onChange={set}
    />
  );
}

function Agent(props: FieldProps) {
  const value: unknown = props.formData;
  return (
    <AgentConfig
      id={props.fieldPathId.$id}
      value={typeof value === 'string' ? value : ''}
      disabled={props.disabled}
      onChange={setter(props)}
    />
  );
}

function Json(props: FieldProps) {
  const set = setter(props);
  return (
    <JsonText
      id={props.fieldPathId.$id}
      label=""
      value={props.formData as unknown}
      disabled={props.disabled}
      onSettle={set}
    />
  );
}

function Duration(props: FieldProps) {
  const set = setter(props);
  return (
    <TextInput
      id={props.fieldPathId.$id}
      placeholder="such as 30s or 1h30m"
      disabled={props.disabled}
      value={typeof props.formData === 'string' ? props.formData : ''}
      onChange={(event) => set(event.currentTarget.value)}
    />
  );
}

function Lines(props: FieldProps) {
  const set = setter(props);
  const list = Array.isArray(props.formData) ? (props.formData as unknown[]) : [];
  return (
    <TextInput
      id={props.fieldPathId.$id}
      placeholder="such as 200, 201"
      disabled={props.disabled}
      defaultValue={list.join(', ')}
      onBlur={(event) => {
        const numbers = event.currentTarget.value
          .split(/[\s,]+/)
          .filter(Boolean)
          .map(Number);
        set(numbers.length > 0 ? numbers : undefined);
      }}
    />
  );
}

function Text(props: FieldProps) {
  const set = setter(props);
  return (
    <Textarea
      classNames={{ input: 'grows' }}
      id={props.fieldPathId.$id}
      disabled={props.disabled}
      value={typeof props.formData === 'string' ? props.formData : ''}
      onChange={(event) => set(event.currentTarget.value)}
    />
  );
}

export const fields: RegistryFieldsType = {
  template: (props: FieldProps) => <Written {...props} as="template" />,
  expression: (props: FieldProps) => <Written {...props} as="expression" />,
  agent: Agent,
  json: Json,
  duration: Duration,
  lines: Lines,
  text: Text,
  pairs: (props: FieldProps) => (
    <Pairs
      name={props.name}
      value={props.formData as Record<string, unknown> | undefined}
      disabled={props.disabled ?? false}
      onChange={setter(props)}
    />
  ),
  rules: (props: FieldProps) => (
    <Rules
      value={props.formData as Record<string, unknown>[] | undefined}
      node={contextOf(props).node ?? null}
      disabled={props.disabled ?? false}
      onChange={setter(props)}
    />
  ),
};
