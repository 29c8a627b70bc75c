import type { ObjectFieldTemplateProps } from '@rjsf/utils';
import { Fieldset } from '@mantine/core';
import { titled } from './FieldTemplate';

/** The fields of an object; an inner one is a group. What is required stands first. */
export function ObjectTemplate({
  properties,
  title,
  fieldPathId,
  schema,
  description,
}: ObjectFieldTemplateProps) {
  const isRequired = (name: string) => schema.required?.includes(name) ?? false;
  const sorted = [...properties].sort((a, b) => Number(isRequired(b.name)) - Number(isRequired(a.name)));
  const content = sorted
    .filter((field) => !field.hidden)
    .map((field) => <div key={field.name}>{field.content}</div>);
  if (fieldPathId.path.length === 0) return <div className="form">{content}</div>;
  return (
    <Fieldset legend={titled(title)} className="form">
      {description && <p className="form-about">{description}</p>}
      {content}
    </Fieldset>
  );
}
