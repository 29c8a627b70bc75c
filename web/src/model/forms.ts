/** The schema of a node's configuration as a form shows it, and which of its fields want a field of their own. */

export type Schema = Record<string, unknown>;

/** How a field is edited; what is not named is edited by its type. */
export type Widget =
  'template' | 'expression' | 'json' | 'pairs' | 'rules' | 'lines' | 'duration' | 'text' | 'agent';

export interface Form {
  schema: Schema;
  widgets: Record<string, Widget>;
}

/** Edited on the canvas, not in a form. */
const ELSEWHERE = ['body'];

const BY_KIND: Record<string, Record<string, Widget>> = {
  agent: { agent: 'agent', prompt: 'template', output_schema: 'json' },
  http: {
    url: 'template',
    headers: 'pairs',
    query: 'pairs',
    body: 'template',
    json: 'json',
    text: 'template',
    form: 'json',
    multipart: 'json',
    bytes: 'json',
    expect: 'lines',
  },
  transform: { input: 'expression', rules: 'rules' },
  condition: { if: 'expression' },
  for_each: { items: 'expression' },
  loop: { until: 'expression' },
  wait: { for: 'template', until: 'template' },
  signal: { timeout: 'duration' },
  approval: { title: 'template', detail: 'template', timeout: 'duration' },
};

const isSchema = (value: unknown): value is Schema =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** What `$ref` names, with what stands beside it. */
function resolved(schema: Schema, root: Schema): Schema {
  const { $ref, ...beside } = schema;
  if (typeof $ref !== 'string') return schema;
  const name = $ref.split('/').pop() ?? '';
  const found = isSchema(root.$defs) ? root.$defs[name] : undefined;
  return isSchema(found) ? { ...found, ...beside } : beside;
}

/** Takes `null` out: what a form leaves empty is left out. */
function withoutNull(schema: Schema, root: Schema): Schema {
  const own = resolved(schema, root);
  const result = { ...own };
  if (Array.isArray(own.type)) {
    const types = own.type.filter((type) => type !== 'null');
    result.type = types.length === 1 ? types[0] : types;
  }
  const choices = own.anyOf;
  if (Array.isArray(choices)) {
    const left = choices.filter((choice) => isSchema(choice) && choice.type !== 'null');
    const only: unknown = left[0];
    if (left.length === 1 && isSchema(only)) {
      const rest = { ...result };
      delete rest.anyOf;
      return withoutNull({ ...only, ...rest }, root);
    }
  }
  return result;
}

/** Choices of texts, each with its sentence, become one list. */
function asChoice(schema: Schema): Schema {
  const choices = schema.oneOf;
  if (
    !Array.isArray(choices) ||
    !choices.every((choice) => isSchema(choice) && typeof choice.const === 'string')
  ) {
    return schema;
  }
  const rest = { ...schema };
  delete rest.oneOf;
  return { ...rest, type: 'string', enum: choices.map((choice: Schema) => choice.const) };
}

/** A schema that a form can show, without `$ref` at its top. */
export function simplified(schema: unknown, root: Schema): Schema {
  return isSchema(schema) ? asChoice(withoutNull(schema, root)) : {};
}

/** The form of a kind of node. */
export function formOf(kind: string, config: unknown): Form {
  const root = isSchema(config) ? config : {};
  const known = BY_KIND[kind] ?? {};
  const properties: Schema = {};
  const widgets: Record<string, Widget> = {};
  for (const [name, raw] of Object.entries(isSchema(root.properties) ? root.properties : {})) {
    if (ELSEWHERE.includes(name)) continue;
    const schema = simplified(raw, root);
    const widget = known[name] ?? guess(schema);
    // A field of its own reads any JSON; the server says what is wrong with it.
    properties[name] = widget
      ? { title: name, description: schema.description ?? '' }
      : { title: name, ...schema };
    if (widget) widgets[name] = widget;
  }
  const required = Array.isArray(root.required) ? root.required.filter((name) => name in properties) : [];
  return { schema: { type: 'object', properties, required }, widgets };
}

function guess(schema: Schema): Widget | null {
  const plain = ['string', 'integer', 'number', 'boolean'];
  return typeof schema.type === 'string' && plain.includes(schema.type) ? null : 'json';
}

/** Leaves out what was emptied, so that a form adds nothing to a document. */
export function trimmed(value: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(value).filter(([, field]) => field !== undefined));
}
