import { Alert, Text } from '@mantine/core';
import { useEffect, useState } from 'react';
import type { Kind } from '../../model/triggers';
import { sentenceOf, usePreviewTriggerMutation } from '../../services/api';
import { instant } from '../../utils/time';

/** So long after the last key the server is asked, in milliseconds. */
const PAUSE_MS = 400;

/** When settings that are not saved would fire, or what is wrong with them: the server says. */
export function Next({ kind, settings }: { kind: Kind; settings: Record<string, unknown> }) {
  const [preview, { data, error }] = usePreviewTriggerMutation();
  const [asked, setAsked] = useState('');
  const text = JSON.stringify([kind, settings]);
  useEffect(() => {
    const timer = setTimeout(() => {
      const [of, what] = JSON.parse(text) as [Kind, Record<string, unknown>];
      void preview({ previewTrigger: { kind: of, settings: what } }).then(() => setAsked(text));
    }, PAUSE_MS);
    return () => clearTimeout(timer);
  }, [preview, text]);
  if (error) return <Text size="sm">{sentenceOf(error)}</Text>;
  // What was said of other settings is not shown for these.
  if (!data || asked !== text) return <Text size="sm">…</Text>;
  if (data.problems.length > 0) {
    return (
      <Alert
        color="orange"
        variant="outline"
        classNames={{ title: 'warns' }}
        p="xs"
        title="It can’t be made so"
      >
        {data.problems.map((problem) => (
          <div key={`${problem.path} ${problem.message}`}>
            <code>{problem.path.replace('settings.', '')}</code>: {problem.message}
          </div>
        ))}
      </Alert>
    );
  }
  if (kind === 'webhook') return null;
  return (
    <div className="next" role="status">
      <Text size="sm" fw={600}>
        It would fire next, by your clock
      </Text>
      <ul className="fires-next">
        {data.next_fires.map((at) => (
          <li key={at}>{instant(at)}</li>
        ))}
      </ul>
    </div>
  );
}
