/** Validates forms by interpreting their schemas: compiling them would need `eval`, which the page's policy refuses. */
import { Validator, type OutputUnit, type Schema } from '@cfworker/json-schema';
import {
  toErrorSchema,
  type RJSFSchema,
  type RJSFValidationError,
  type ValidationData,
  type ValidatorType,
} from '@rjsf/utils';
import { write } from '../../model/lossless';

function check(schema: unknown, value: unknown): OutputUnit[] {
  // Forms carry `undefined` for what is empty; JSON has no such thing.
  const plain: unknown = value === undefined ? undefined : JSON.parse(write(value));
  return new Validator(schema as Schema, '2020-12', false).validate(plain).errors;
}

/** Errors without those that only say that something inside was wrong. */
function errorsOf(units: OutputUnit[]): RJSFValidationError[] {
  const outer = new Set(['properties', 'items', 'allOf', '$ref', 'prefixItems']);
  return units
    .filter((unit) => !outer.has(unit.keyword))
    .map((unit) => {
      const missing = /required property "([^"]+)"/.exec(unit.error)?.[1];
      const at = unit.instanceLocation.replace(/^#/, '').replaceAll('/', '.');
      const property = unit.keyword === 'required' && missing ? `${at}.${missing}` : at;
      const message = missing ? 'is required' : unit.error.replace(/^Instance /, '');
      return { property: property || '.', message, stack: `${property} ${message}`, name: unit.keyword };
    });
}

export const validator: ValidatorType = {
  validateFormData: (value, schema): ValidationData<unknown> => {
    const errors = errorsOf(check(schema, value ?? {}));
    return { errors, errorSchema: toErrorSchema(errors) };
  },
  isValid: (schema, value, root) => {
    try {
      const whole: RJSFSchema = { ...schema, $defs: { ...root.$defs, ...schema.$defs } };
      return check(whole, value).length === 0;
    } catch {
      return false;
    }
  },
  rawValidation: (schema, value) => ({ errors: check(schema, value) as never[] }),
};

// For the form library's own tests, which are never run here; the build wants to find it.
export default validator;
