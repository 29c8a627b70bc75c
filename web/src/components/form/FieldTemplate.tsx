import type { FieldTemplateProps } from '@rjsf/utils';
import { Input } from '@mantine/core';
import type { FormContext } from './context';

/** A field with its name, what it is for, and what is wrong with it. */
export function FieldTemplate(props: FieldTemplateProps) {
  const {
    id,
    fieldPathId,
    schema,
    label,
    required,
    hidden,
    rawErrors,
    rawDescription,
    children,
    registry,
    uiSchema,
  } = props;
  if (hidden) return <div hidden>{children}</div>;
  const isWhole = schema.type === 'object' && !uiSchema?.['ui:field'];
  const { problems = {} } = (registry.formContext ?? {}) as FormContext;
  const own = problems[String(fieldPathId.path.at(-1))] ?? [];
  const errors = [...own, ...(rawErrors ?? [])];
  if (isWhole || schema.type === 'boolean') return <div className="form-part">{children}</div>;
  return (
    <Input.Wrapper
      className="form-part"
      id={id}
      label={titled(label)}
      labelProps={{ htmlFor: id }}
      required={required}
      description={rawDescription}
      error={errors.length > 0 ? errors.join('. ') : undefined}
    >
      {children}
    </Input.Wrapper>
  );
}

/** `output_schema` → `Output schema`. */
export function titled(name: string): string {
  const words = name.replaceAll('_', ' ').trim();
  return words.charAt(0).toUpperCase() + words.slice(1);
}
