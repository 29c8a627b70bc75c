import { useEffect, useState } from 'react';
import { write } from '../../model/lossless';
import { isFailure, useEvaluateExpressionMutation } from '../../services/api';

/** So long after the last key the server is asked, in milliseconds. */
const PAUSE_MS = 300;
const SHOWN = 400;

interface Props {
  as: 'template' | 'expression';
  run: string;
  node: string | null;
  text: string;
}

/** What a text gives on the data of a run. The server evaluates it; nothing here knows the language. */
export function Preview({ as, run, node, text }: Props) {
  const [evaluate] = useEvaluateExpressionMutation();
  const [shown, setShown] = useState<{ of: string; text: string; wrong: boolean } | null>(null);
  const of = `${run} ${node ?? ''} ${text}`;
  useEffect(() => {
    let asked: ReturnType<typeof evaluate> | undefined;
    const timer = setTimeout(() => {
      const source = as === 'template' ? { template: text } : { expression: text };
      asked = evaluate({ evaluate: { ...source, run, node } });
      void asked.then(({ data, error }) => {
        if (data) setShown({ of, text: cut(data.value), wrong: false });
        else if (isFailure(error)) {
          setShown({ of, text: error.problems?.[0]?.message ?? error.detail ?? error.title, wrong: true });
        }
      });
    }, PAUSE_MS);
    return () => {
      clearTimeout(timer);
      asked?.abort();
    };
  }, [as, evaluate, node, of, run, text]);
  if (shown?.of !== of) return null;
  return (
    <p className="preview" data-wrong={shown.wrong}>
      <span>{shown.wrong ? 'On the run that is shown: ' : 'Gives '}</span>
      <code>{shown.text}</code>
    </p>
  );
}

function cut(value: unknown): string {
  const text = typeof value === 'string' ? value : write(value);
  return text.length > SHOWN ? `${text.slice(0, SHOWN)}… (${text.length} characters)` : text;
}
