import type { TemplatesType } from '@rjsf/utils';
import { ArrayTemplate } from './ArrayTemplate';
import { FieldTemplate } from './FieldTemplate';
import { InputTemplate } from './InputTemplate';
import { ObjectTemplate } from './ObjectTemplate';

const Nothing = () => null;

/** How forms look: ours from the first to the last, since those that come with the library bring headings out of order. */
export const templates: Partial<TemplatesType> = {
  FieldTemplate,
  ObjectFieldTemplate: ObjectTemplate,
  ArrayFieldTemplate: ArrayTemplate,
  BaseInputTemplate: InputTemplate,
  ErrorListTemplate: Nothing,
  DescriptionFieldTemplate: Nothing,
  TitleFieldTemplate: Nothing,
};
