import { Alert, Button, Group, Loader, Modal, Stack, Text, Textarea } from '@mantine/core';
import { useState } from 'react';
import { definitionOf } from '../../model/document';
import { diff, told } from '../../model/diff';
import { isFailure, sentenceOf, useGetVersionQuery, usePublishDraftMutation } from '../../services/api';
import { useSeen } from '../../services/store';
import { Changes } from '../common/Changes';
import type { Save } from './save';

/** As long as the server takes. */
const LONGEST_NOTE = 2000;

interface Props {
  id: string;
  save: Save;
  onClose: () => void;
}

/** Makes the next version of the draft: what it changes, and a word about it. */
export function PublishDialog({ id, save, onClose }: Props) {
  const document = useSeen((state) => state.workflow.document);
  const problems = useSeen((state) => state.workflow.problems.length);
  const [note, setNote] = useState('');
  const [isSaving, setSaving] = useState(false);
  const [why, setWhy] = useState<string | null>(null);
  const [publish, { isLoading, error }] = usePublishDraftMutation();
  const isFirst = save.version === 0;
  const before = useGetVersionQuery({ id, n: save.version }, { skip: isFirst });
  const lines = before.data
    ? told(diff(definitionOf((before.data.definition ?? {}) as Record<string, unknown>), document))
    : [];
  const make = async () => {
    setSaving(true);
    const isSaved = await save.save();
    setSaving(false);
    setWhy(isSaved ? null : 'The draft could not be saved. The head of the page says why.');
    if (!isSaved) return;
    const { data } = await publish({
      id,
      'Idempotency-Key': crypto.randomUUID(),
      publish: { note: note.trim() === '' ? null : note.trim(), version: save.version },
    });
    if (!data) return;
    save.stands(`v${data.version}`, data.version);
    onClose();
  };
  return (
    <Modal
      opened
      onClose={onClose}
      size="lg"
      title={isFirst ? 'Publish version 1' : `Publish version ${save.version + 1}`}
      closeButtonProps={{ 'aria-label': 'Close' }}
    >
      <Stack>
        {problems > 0 && (
          <Alert color="orange" variant="outline">
            {problems === 1 ? 'There is a problem' : `There are ${problems} problems`} in it. What has
            problems can’t be published: mend them first.
          </Alert>
        )}
        <Text size="sm">
          {isFirst
            ? 'From then on it can be started by everybody who may, by triggers and by programs.'
            : `What starts from then on runs it. Runs of version ${save.version} go on as they are.`}
        </Text>
        {before.isLoading && <Loader size="sm" aria-label="The version before is loading" />}
        {before.data && <Changes lines={lines} none="It says the same as the version before." />}
        <Textarea
          label="What is new"
          description="For the list of versions; it may be left empty"
          maxLength={LONGEST_NOTE}
          autosize
          minRows={2}
          maxRows={8}
          data-autofocus
          value={note}
          onChange={(event) => setNote(event.currentTarget.value)}
        />
        {(error ?? why) && (
          <Alert color="red" variant="outline" title="It was not published">
            {why ?? sentenceOf(error)}
            {isFailure(error) && error.problems?.map((one) => <div key={one.path}>{one.message}</div>)}
          </Alert>
        )}
        <Group justify="flex-end">
          <Button variant="default" onClick={onClose}>
            Not now
          </Button>
          <Button loading={isSaving || isLoading} disabled={problems > 0} onClick={() => void make()}>
            Publish
          </Button>
        </Group>
      </Stack>
    </Modal>
  );
}
