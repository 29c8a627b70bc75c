import Form from '@rjsf/core';
import type { UiSchema } from '@rjsf/utils';
import { Loader } from '@mantine/core';
import { useEffect, useMemo, useRef, useState } from 'react';
import type { Config, DefNode } from '../../model/document';
import { equal } from '../../model/diff';
import { formOf, trimmed } from '../../model/forms';
import { useListNodeKindsQuery } from '../../services/api';
import { updateNode } from '../../services/state';
import { useAct, useSeen } from '../../services/store';
import { Failed } from '../common/Failed';
import { fields } from '../form/fields';
import { templates } from '../form/templates';
import { validator } from '../form/validator';
import { widgets } from '../form/widgets';
import { onSettle } from './typing';

const PAUSE_MS = 400;

/** The configuration of a node, by the schema that the server has of its kind. */
export function ConfigForm({ node, readOnly }: { node: DefNode; readOnly: boolean }) {
  const act = useAct();
  const kinds = useListNodeKindsQuery({});
  const problems = useSeen((state) => state.workflow.problems);
  const kind = kinds.data?.items.find((one) => one.name === node.type);
  const form = useMemo(() => (kind ? formOf(kind.name, kind.config) : null), [kind]);
  const [typed, setTyped] = useState<Config | null>(null);
  const [shown, setShown] = useState(node.config);
  // Undo, a run of the page in another place: what the document says now is shown.
  if (node.config !== shown) {
    setShown(node.config);
    setTyped(null);
  }
  const latest = useRef(typed);
  const keep = (config: Config) => {
    const body = node.config?.body;
    const whole = body === undefined ? trimmed(config) : { ...trimmed(config), body };
    if (!equal(whole, node.config ?? {})) act(updateNode({ id: node.id, fields: { config: whole } }));
  };
  const keepNow = useRef(keep);
  useEffect(() => {
    latest.current = typed;
    keepNow.current = keep;
  });
  useEffect(() => {
    if (typed === null) return;
    const timer = setTimeout(() => keepNow.current(typed), PAUSE_MS);
    return () => clearTimeout(timer);
  }, [typed]);
  useEffect(() => {
    const settle = () => {
      if (latest.current !== null) keepNow.current(latest.current);
    };
    const end = onSettle(settle);
    return () => {
      end();
      settle();
    };
  }, []);
  const found = useMemo(() => errorsOf(problems, node.id), [problems, node.id]);
  if (kinds.isLoading) return <Loader size="sm" aria-label="The form is loading" />;
  if (!form) {
    return <Failed what="The form can’t be had" error={kinds.error} again={() => void kinds.refetch()} />;
  }
  const ui: UiSchema = { 'ui:submitButtonOptions': { norender: true }, 'ui:options': { label: false } };
  for (const [name, widget] of Object.entries(form.widgets)) ui[name] = { 'ui:field': widget };
  return (
    <Form
      idPrefix={`config-${node.id}`}
      schema={form.schema}
      uiSchema={ui}
      formData={typed ?? node.config ?? {}}
      formContext={{ node: node.id, problems: found }}
      validator={validator}
      templates={templates}
      fields={fields}
      widgets={widgets}
      disabled={readOnly}
      showErrorList={false}
      experimental_defaultFormStateBehavior={{ emptyObjectFields: 'skipDefaults' }}
      tagName="div"
      onChange={({ formData }) => setTyped((formData ?? {}) as Config)}
    />
  );
}

/** The server's problems by the field of the configuration that they are about. */
function errorsOf(problems: { node: string | null; path: string; message: string }[], node: string) {
  const found: Record<string, string[]> = {};
  for (const problem of problems) {
    const field = /\.config\.([A-Za-z_]+)/.exec(problem.path)?.[1];
    if (problem.node === node && field) (found[field] ??= []).push(problem.message);
  }
  return found;
}
