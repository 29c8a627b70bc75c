import { Button, CloseButton, Stack, Text, Textarea, Title } from '@mantine/core';
import { IconNote } from '@tabler/icons-react';
import { NOTE, type Note } from '../../model/notes';
import { remove, select, updateNote } from '../../services/state';
import { useAct } from '../../services/store';
import { Late } from './Late';

/** The words of a note. */
export function NotePanel({ note, readOnly }: { note: Note; readOnly: boolean }) {
  const act = useAct();
  return (
    <aside className="panel" aria-label="Note">
      <div className="panel-head">
        <IconNote size={20} stroke={1.6} aria-hidden />
        <Title order={2}>Note</Title>
        <CloseButton ml="auto" aria-label="Close the note" onClick={() => act(select(null))} />
      </div>
      <Stack className="panel-body" gap="md">
        <Late value={note.text} onSettle={(text) => act(updateNote({ id: note.id, text }))}>
          {(value, set, settle) => (
            <Textarea
              classNames={{ input: 'grows' }}
              label="Text"
              disabled={readOnly}
              value={value}
              onChange={(event) => set(event.currentTarget.value)}
              onBlur={settle}
            />
          )}
        </Late>
        <Text size="sm" c="dimmed">
          Notes are for people; runs do not read them.
        </Text>
        {!readOnly && (
          <Button variant="default" onClick={() => act(remove({ nodes: [NOTE + note.id], edges: [] }))}>
            Delete the note
          </Button>
        )}
      </Stack>
    </aside>
  );
}
