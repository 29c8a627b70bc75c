import { ActionIcon, Button, Group, Stack, TextInput } from '@mantine/core';
import { IconTrash } from '@tabler/icons-react';
import { useState } from 'react';
import { parse, write } from '../../model/lossless';

interface Props {
  name: string;
  value: Record<string, unknown> | undefined;
  disabled: boolean;
  onChange: (value: unknown) => void;
}

/** Names with values, such as headers. A value that is no text is written as JSON. */
export function Pairs({ name, value, disabled, onChange }: Props) {
  const given = Object.entries(value ?? {}).map(([key, one]): [string, string] => [
    key,
    typeof one === 'string' ? one : write(one),
  ]);
  // A row without a name is not a field yet, and two of one name are not both.
  const [rows, setRows] = useState(given);
  const change = (next: [string, string][]) => {
    setRows(next);
    const named = next.filter(([key]) => key !== '').map(([key, text]) => [key, read(text)]);
    onChange(named.length > 0 ? Object.fromEntries(named) : undefined);
  };
  const set = (at: number, row: [string, string]) =>
    change(rows.map((one, index) => (index === at ? row : one)));
  return (
    <Stack gap={4} role="group" aria-label={name}>
      {rows.map(([key, text], index) => (
        <Group key={index} gap={4} wrap="nowrap">
          <TextInput
            aria-label={`Name ${index + 1} of ${name}`}
            disabled={disabled}
            value={key}
            onChange={(event) => set(index, [event.currentTarget.value, text])}
          />
          <TextInput
            aria-label={`Value ${index + 1} of ${name}`}
            flex={1}
            disabled={disabled}
            value={text}
            onChange={(event) => set(index, [key, event.currentTarget.value])}
          />
          <ActionIcon
            variant="subtle"
            color="gray"
            aria-label={`Take ${key || 'the row'} out`}
            disabled={disabled}
            onClick={() => change(rows.filter((_, at) => at !== index))}
          >
            <IconTrash size={16} />
          </ActionIcon>
        </Group>
      ))}
      <Button
        size="compact-sm"
        variant="default"
        w="fit-content"
        disabled={disabled}
        onClick={() => setRows([...rows, ['', '']])}
      >
        Add one
      </Button>
    </Stack>
  );
}

/** Lists and numbers that were given as such stay such. */
function read(text: string): unknown {
  if (!/^(\[.*\]|\{[^{].*\}|-?\d+(\.\d+)?|true|false|null)$/s.test(text)) return text;
  try {
    return parse(text);
  } catch {
    return text;
  }
}
