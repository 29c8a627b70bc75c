import type { BaseInputTemplateProps } from '@rjsf/utils';
import { NumberInput, TextInput } from '@mantine/core';

/** A field for a text or a number. */
export function InputTemplate(props: BaseInputTemplateProps) {
  const { id, schema, required, disabled, readonly, onChange, options, placeholder, rawErrors } = props;
  const value: unknown = props.value;
  const invalid = (rawErrors?.length ?? 0) > 0;
  if (schema.type === 'number' || schema.type === 'integer') {
    return (
      <NumberInput
        id={id}
        value={typeof value === 'number' ? value : ''}
        required={required}
        disabled={disabled ?? readonly}
        error={invalid}
        min={schema.minimum}
        max={schema.maximum}
        allowDecimal={schema.type === 'number'}
        placeholder={typeof schema.default === 'number' ? String(schema.default) : placeholder}
        onChange={(next) => onChange(typeof next === 'number' ? next : undefined)}
      />
    );
  }
  return (
    <TextInput
      id={id}
      value={typeof value === 'string' ? value : ''}
      required={required}
      disabled={disabled ?? readonly}
      error={invalid}
      placeholder={typeof schema.default === 'string' ? schema.default : placeholder}
      onChange={(event) =>
        onChange(event.currentTarget.value === '' ? options.emptyValue : event.currentTarget.value)
      }
    />
  );
}
