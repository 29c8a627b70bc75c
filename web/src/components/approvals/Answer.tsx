import { Alert, Button, Group, Stack, Text, Textarea } from '@mantine/core';
import { useState } from 'react';
import { sentenceOf, useApproveStepMutation, type Step } from '../../services/api';
import { useMay } from '../../utils/may';
import { Value } from '../common/Value';

interface Props {
  run: string;
  asked: Pick<Step, 'node' | 'generation' | 'iteration' | 'args_hash' | 'input'>;
  /** Whether it is asked if a step was performed. */
  isUnknown: boolean;
}

/** What a person is asked, and the two answers. The answer is bound to what was shown. */
export function Answer({ run, asked, isUnknown }: Props) {
  const may = useMay();
  const [comment, setComment] = useState('');
  const [approve, { isLoading, error }] = useApproveStepMutation();
  const { title, detail, guards } = fieldsOf(asked.input);
  const give = (approved: boolean) =>
    void approve({
      id: run,
      'Idempotency-Key': crypto.randomUUID(),
      approve: {
        node: asked.node,
        approved,
        generation: asked.generation,
        iteration: asked.iteration,
        comment: comment === '' ? null : comment,
        args_hash: asked.args_hash ?? null,
      },
    });
  return (
    <Stack gap="sm" className="question">
      <Text fw={600}>{isUnknown ? 'Was this performed? Nobody knows.' : title}</Text>
      {isUnknown && <Value name="What it was to do" value={(asked.input as unknown) ?? null} />}
      {!isUnknown && detail !== undefined && detail !== null && <Value name="Detail" value={detail} />}
      {!isUnknown && guards !== undefined && <Value name="What will be sent" value={guards} />}
      {may('operate') ? (
        <>
          <Textarea
            classNames={{ input: 'grows' }}
            label="Comment"
            value={comment}
            onChange={(event) => setComment(event.currentTarget.value)}
          />
          <Group>
            <Button size="xs" loading={isLoading} onClick={() => give(true)}>
              {isUnknown ? 'It was performed' : 'Approve'}
            </Button>
            <Button size="xs" variant="default" loading={isLoading} onClick={() => give(false)}>
              {isUnknown ? 'It was not' : 'Reject'}
            </Button>
          </Group>
        </>
      ) : (
        <Text c="dimmed">Your role may read this and not answer it.</Text>
      )}
      {error && (
        <Alert color="red" variant="outline" title="The answer was not taken">
          {sentenceOf(error)}
        </Alert>
      )}
    </Stack>
  );
}

function fieldsOf(input: unknown): { title: string; detail?: unknown; guards?: unknown } {
  const fields = (typeof input === 'object' && input !== null ? input : {}) as Record<string, unknown>;
  return {
    title: typeof fields.title === 'string' ? fields.title : 'A person is asked',
    detail: fields.detail,
    guards: fields.guards,
  };
}
