import { lazy, Suspense, useMemo } from 'react';
import { namesFor } from '../../model/scope';
import { useSeen } from '../../services/store';
import { Preview } from './Preview';

const Code = lazy(async () => ({ default: (await import('./Code')).Code }));

interface Props {
  id: string;
  label: string;
  as: 'template' | 'expression';
  /** The node that reads it. */
  node: string | null;
  /** All that it sees, where that is not what the node sees. */
  names?: string[];
  value: string;
  disabled?: boolean;
  onChange: (value: string) => void;
}

/** An expression or a template: names are offered, and under it stands what it gives on the run that is shown. */
export function ExpressionField({ id, label, as, node, names, value, disabled, onChange }: Props) {
  const document = useSeen((state) => state.workflow.document);
  const run = useSeen((state) => state.workflow.overlay?.run);
  const offered = useMemo(
    () => names?.map((path) => ({ path, about: '' })) ?? namesFor(document, node),
    [names, document, node],
  );
  return (
    <div>
      <Suspense fallback={<div className="code-loading">{value}</div>}>
        <Code
          id={id}
          label={label}
          as={as}
          names={offered}
          value={value}
          disabled={disabled}
          onChange={onChange}
        />
      </Suspense>
      {run && !names && value.trim() !== '' && <Preview as={as} run={run} node={node} text={value} />}
    </div>
  );
}
