import Form from '@rjsf/core';
import type { RJSFSchema } from '@rjsf/utils';
import { JsonText } from './JsonText';
import { templates } from './templates';
import { fields } from './fields';
import { validator } from './validator';
import { widgets } from './widgets';

interface Props {
  schema: unknown;
  value: unknown;
  onChange: (value: unknown) => void;
}

/** A value by a JSON Schema; without one, or where it is no object, any JSON. */
export function InputForm({ schema, value, onChange }: Props) {
  if (!isForm(schema)) {
    return (
      <JsonText
        label="Input"
        description="Any JSON; the workflow has no schema for it"
        placeholder="{}"
        value={value ?? undefined}
        onSettle={onChange}
      />
    );
  }
  return (
    <Form
      idPrefix="input"
      schema={schema}
      uiSchema={{ 'ui:submitButtonOptions': { norender: true } }}
      formData={value ?? {}}
      validator={validator}
      templates={templates}
      fields={fields}
      widgets={widgets}
      showErrorList={false}
      tagName="div"
      onChange={({ formData }) => onChange(formData)}
    />
  );
}

function isForm(schema: unknown): schema is RJSFSchema {
  return typeof schema === 'object' && schema !== null && 'properties' in schema;
}
