import { Button, CloseButton, Group, Text, Title } from '@mantine/core';
import { IconAlertTriangleFilled, IconCircleCheck } from '@tabler/icons-react';
import { useReactFlow } from '@xyflow/react';
import { useEffect, useMemo, useRef, useState } from 'react';
import { pathOf, type Problem } from '../../model/document';
import { useSeen } from '../../services/store';
import { placesOf, type Place } from '../../services/yaml';
import { YamlEditor, type Marked, type YamlView } from './YamlEditor';
import { unlessOld, useText } from './text';

interface Props {
  readOnly: boolean;
  onClose: () => void;
}

/** The definition as text, beside its drawing: what is typed is drawn, and what is drawn is written. */
export function Yaml({ readOnly, onClose }: Props) {
  const document = useSeen((state) => state.workflow.document);
  const selected = useSeen((state) => state.workflow.selectedNode);
  const problems = useSeen((state) => state.workflow.problems);
  const { text, mistakes, isBehind, isStuck, type, takeDrawing } = useText(readOnly);
  const view = useRef<YamlView>(null);
  const flow = useReactFlow();
  useEffect(() => {
    // The drawing has less room now, and more when this is closed.
    const fit = () => void flow.fitView({ padding: 0.08, maxZoom: 1 });
    requestAnimationFrame(fit);
    return () => void requestAnimationFrame(fit);
  }, [flow]);
  const found = useMarks(text, problems);
  const marks = mistakes.length > 0 ? mistakes : found;
  // The node that is selected is shown, while nobody types.
  const path = useMemo(
    () => (selected && mistakes.length === 0 ? pathOf(document, selected) : null),
    // eslint-disable-next-line react-hooks/exhaustive-deps -- where it stood when it was selected: typing does not scroll
    [selected],
  );
  const shown = usePlace(text, path, selected);
  return (
    <section className="yaml" aria-label="YAML">
      <div className="panel-head">
        <Title order={2}>YAML</Title>
        <Text size="xs" c="dimmed">
          {readOnly ? 'as it ran' : 'what is typed is drawn'}
        </Text>
        <CloseButton ml="auto" aria-label="Close the YAML" onClick={onClose} />
      </div>
      {(isBehind || isStuck) && (
        <Group className="yaml-note" justify="space-between" role="status">
          <span>
            {isBehind
              ? 'The drawing has changed since this was typed. Once the text can be read, it counts.'
              : 'This text is behind the drawing: it can’t follow the last edit in place.'}
          </span>
          {isBehind && (
            <Button size="compact-xs" variant="default" onClick={takeDrawing}>
              Show what is drawn
            </Button>
          )}
        </Group>
      )}
      <YamlEditor ref={view} text={text} marks={marks} shown={shown} readOnly={readOnly} onType={type} />
      <div className="yaml-problems" role="status" aria-label="Mistakes in the YAML">
        {marks.length === 0 ? (
          <span className="status" data-status="completed">
            <IconCircleCheck size={16} aria-hidden /> no mistakes
          </span>
        ) : (
          <ul>
            {mistakes.length > 0 && (
              <li>This text can’t be read. What could be read last is drawn and saved.</li>
            )}
            {marks.map(({ from, line, message }, index) => (
              <li key={index}>
                <button type="button" onClick={() => view.current?.goTo(from)}>
                  <IconAlertTriangleFilled size={14} aria-hidden />
                  <strong>Line {line}</strong> {message}
                </button>
              </li>
            ))}
          </ul>
        )}
      </div>
    </section>
  );
}

/** What is wrong, at its places in the text. */
function useMarks(text: string, problems: Problem[]): Marked[] {
  const [marks, setMarks] = useState<Marked[]>([]);
  useEffect(() => {
    const paths = problems.map((problem) => problem.path);
    return unlessOld(placesOf(text, paths), (places) =>
      setMarks(
        problems.flatMap(({ message }, index) => {
          const place = places[index];
          return place ? [{ ...place, message }] : [];
        }),
      ),
    );
  }, [text, problems]);
  return marks;
}

/** Where something is in the text; looked up when `by` changes. */
function usePlace(text: string, path: string | null, by: string | null): Place | null {
  const [place, setPlace] = useState<Place | null>(null);
  useEffect(
    () => unlessOld(placesOf(text, path === null ? [] : [path]), ([first]) => setPlace(first ?? null)),
    // eslint-disable-next-line react-hooks/exhaustive-deps -- the text as it was then: typing does not scroll
    [path, by],
  );
  return place;
}
