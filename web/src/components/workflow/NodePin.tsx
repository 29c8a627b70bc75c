import { Anchor, Button, Group, Paper, Stack, Text } from '@mantine/core';
import { IconPin } from '@tabler/icons-react';
import { useState } from 'react';
import { Link } from 'react-router';
import { find } from '../../model/document';
import { canPin, isStale, pinOf, WAYS, type Given, type Trying, type Way } from '../../model/pins';
import type { Step } from '../../services/api';
import { pinned } from '../../services/state';
import { useAct, useSeen } from '../../services/store';
import { isCut } from '../common/CutValue';
import { Value } from '../common/Value';
import { JsonText } from '../form/JsonText';

interface Props {
  node: string;
  /** What became of it in the run that is shown. */
  step: Step | undefined;
  run: string | null;
  onTry?: (trying: Trying) => void;
}

/** Gives a node its output while the draft is tried, and tries a part of the draft. */
export function NodePin({ node: id, step, run, onTry }: Props) {
  const document = useSeen((state) => state.workflow.document);
  const pin = useSeen((state) => state.workflow.pins[id]);
  const [isTyping, setTyping] = useState(false);
  const node = find(document, id)?.node;
  if (!node) return null;
  if (!canPin(document, id)) {
    return (
      <Text size="sm" c="dimmed">
        It is run with the node that holds it; only that one can be pinned, or tried alone.
      </Text>
    );
  }
  const ways = (Object.keys(WAYS) as Way[]).filter((way) => way !== 'from' || run !== null);
  return (
    <Stack gap="xs">
      {isTyping ? (
        <Typing id={id} first={firstOf(pin?.given, step)} onDone={() => setTyping(false)} />
      ) : (
        <Pinned id={id} step={step} run={run} onType={() => setTyping(true)} />
      )}
      {pin && isStale(node, pin) && (
        <Text size="sm" className="pin-stale">
          The node has changed since it was pinned.
        </Text>
      )}
      {onTry && (
        <Group gap="xs">
          {ways.map((way) => (
            <Button key={way} size="compact-xs" variant="default" onClick={() => onTry({ way, node: id })}>
              {WAYS[way]}
            </Button>
          ))}
        </Group>
      )}
    </Stack>
  );
}

interface PinnedProps {
  id: string;
  step: Step | undefined;
  run: string | null;
  onType: () => void;
}

function Pinned({ id, step, run, onType }: PinnedProps) {
  const act = useAct();
  const node = useSeen((state) => find(state.workflow.document, id)?.node);
  const pin = useSeen((state) => state.workflow.pins[id]);
  if (!node) return null;
  const give = (given: Given | null) => act(pinned({ id, pin: given && pinOf(node, given) }));
  if (!pin) {
    return (
      <Group gap="xs">
        {run !== null && step?.status === 'completed' && (
          <Button
            size="compact-xs"
            variant="default"
            leftSection={<IconPin size={14} aria-hidden />}
            onClick={() => give({ run, generation: step.generation })}
          >
            Pin this output
          </Button>
        )}
        <Button size="compact-xs" variant="default" onClick={onType}>
          Pin other data…
        </Button>
      </Group>
    );
  }
  const { given } = pin;
  return (
    <Paper withBorder p="xs" className="pin" aria-label="What is pinned" component="section">
      {'run' in given ? (
        <Text size="sm">
          <IconPin size={14} aria-hidden /> Pinned: its output in{' '}
          <Anchor component={Link} to={`/runs/${given.run}`} size="sm">
            run <span className="id">{given.run.slice(0, 8)}</span>
          </Anchor>
        </Text>
      ) : (
        <Value name="Pinned output" value={given.value} />
      )}
      <Group gap="xs" mt={6}>
        <Button size="compact-xs" variant="default" onClick={onType}>
          Change it…
        </Button>
        <Button size="compact-xs" variant="default" onClick={() => give(null)}>
          Take the pin away
        </Button>
      </Group>
    </Paper>
  );
}

/** Any JSON as the output of a node. */
function Typing({ id, first, onDone }: { id: string; first: unknown; onDone: () => void }) {
  const act = useAct();
  const node = useSeen((state) => find(state.workflow.document, id)?.node);
  const [value, setValue] = useState<unknown>(first);
  return (
    <Stack gap="xs">
      <JsonText
        label="Output that is pinned"
        description="Any JSON. A condition or an approval goes on by the branch that it says."
        placeholder={'"a text"'}
        value={value}
        onSettle={setValue}
      />
      <Group gap="xs">
        <Button
          size="compact-xs"
          disabled={value === undefined}
          onClick={() => {
            if (node) act(pinned({ id, pin: pinOf(node, { value }) }));
            onDone();
          }}
        >
          Pin it
        </Button>
        <Button size="compact-xs" variant="default" onClick={onDone}>
          Not now
        </Button>
      </Group>
    </Stack>
  );
}

function firstOf(given: Given | undefined, step: Step | undefined): unknown {
  if (given && 'value' in given) return given.value;
  // Of a large one only the beginning is here.
  const output: unknown = step?.status === 'completed' ? step.output : undefined;
  return isCut(output) ? undefined : output;
}
