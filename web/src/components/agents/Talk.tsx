import { Alert, Anchor, Button, Group, Loader, Text, Textarea, Title } from '@mantine/core';
import { useEffect, useRef, useState } from 'react';
import { Link } from 'react-router';
import type { Turn } from '../../model/talk';
import { useMay } from '../../utils/may';
import { useTalk } from './talk';

/** A talk with an agent, to try it: its answers come word by word. */
export function Talk({ agent }: { agent: string }) {
  const may = useMay();
  const { turns, said, isBusy, ask, again, giveUp } = useTalk(agent);
  const [text, setText] = useState('');
  const end = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (end.current) end.current.scrollTop = end.current.scrollHeight;
  }, [turns, said]);
  const send = () => {
    const question = text.trim();
    if (question === '' || isBusy) return;
    setText('');
    void ask(question);
  };
  return (
    <section className="talk" aria-label={`Try ${agent}`}>
      <Group justify="space-between">
        <Title order={2}>Try it</Title>
        {turns.length > 0 && !isBusy && (
          <Button size="compact-xs" variant="default" onClick={again}>
            Begin anew
          </Button>
        )}
      </Group>
      <Text size="sm" c="dimmed">
        Each question is a run of its own; what was said before goes along.
      </Text>
      {turns.length > 0 && (
        // eslint-disable-next-line jsx-a11y-x/no-noninteractive-tabindex -- what scrolls must be reached by the keyboard
        <div ref={end} className="talk-turns" role="log" aria-label="What was said" tabIndex={0}>
          {turns.map((turn, index) => (
            <Said key={index} turn={turn} said={said} agent={agent} />
          ))}
        </div>
      )}
      {may('edit') ? (
        <form
          onSubmit={(event) => {
            event.preventDefault();
            send();
          }}
        >
          <Textarea
            classNames={{ input: 'grows' }}
            label={`Ask ${agent}`}
            description="Enter sends it, Shift+Enter begins a line."
            value={text}
            onChange={(event) => setText(event.currentTarget.value)}
            onKeyDown={(event) => {
              if (event.key !== 'Enter' || event.shiftKey || event.nativeEvent.isComposing) return;
              event.preventDefault();
              send();
            }}
          />
          <Group mt="xs" justify="flex-end">
            {isBusy && (
              <Button size="xs" variant="default" onClick={giveUp}>
                Stop
              </Button>
            )}
            <Button size="xs" type="submit" disabled={text.trim() === '' || isBusy}>
              Ask
            </Button>
          </Group>
        </form>
      ) : (
        <Text size="sm" c="dimmed">
          Your role may see agents and not ask them.
        </Text>
      )}
    </section>
  );
}

function Said({ turn, said, agent }: { turn: Turn; said: string; agent: string }) {
  const isAwaited = turn.answer === null;
  const text = turn.answer ?? said;
  return (
    <>
      <div className="talk-asked">
        <span className="visually-hidden">You: </span>
        {turn.asked}
      </div>
      <div className="talk-answer" aria-busy={isAwaited}>
        <span className="visually-hidden">{agent}: </span>
        {text}
        {isAwaited && text === '' && <Loader size="xs" type="dots" aria-label={`${agent} thinks`} />}
        {turn.error && (
          <Alert color="red" variant="outline" p="xs">
            {turn.error}
          </Alert>
        )}
        {turn.run && !isAwaited && (
          <div className="facts">
            {turn.tokens > 0 && <span>{turn.tokens} tokens</span>}
            <Anchor component={Link} to={`/runs/${turn.run}`} size="xs">
              Open the run
            </Anchor>
          </div>
        )}
      </div>
    </>
  );
}
