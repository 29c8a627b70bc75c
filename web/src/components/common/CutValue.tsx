import { Button, Group, Text } from '@mantine/core';
import { write } from '../../model/lossless';
import { sentenceOf, useLazyGetValueQuery } from '../../services/api';
import { download } from '../../utils/download';

/** A value of which the server shows the beginning. */
export interface Cut {
  cut: true;
  bytes: number;
  hash: string;
  preview: string;
}

export const isCut = (value: unknown): value is Cut => {
  if (typeof value !== 'object' || value === null) return false;
  const { cut, hash, preview } = value as Partial<Cut>;
  return cut === true && typeof hash === 'string' && typeof preview === 'string';
};

/** The beginning of a large value of a run; the whole is a file. */
export function CutValue({ name, value, run }: { name: string; value: Cut; run: string }) {
  const [get, { isFetching, error }] = useLazyGetValueQuery();
  const save = async () => {
    const answer = await get({ id: run, hash: value.hash });
    if (answer.data !== undefined) download(`${name}.json`, write(answer.data as unknown, 2));
  };
  return (
    <div className="value">
      <Group justify="space-between" gap="xs" mb={4}>
        <Text size="sm" fw={600}>
          {name}
        </Text>
        <Button size="compact-xs" variant="default" loading={isFetching} onClick={() => void save()}>
          Download all {Math.ceil(value.bytes / 1024)} KiB
        </Button>
      </Group>
      {/* eslint-disable-next-line jsx-a11y-x/no-noninteractive-tabindex -- what scrolls must be reached by the keyboard */}
      <pre className="value-text" tabIndex={0} aria-label={`The beginning of ${name}`}>
        {value.preview}…
      </pre>
      {error && <Text size="sm">{sentenceOf(error)}</Text>}
    </div>
  );
}
