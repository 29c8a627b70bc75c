import { ActionIcon, Group, SegmentedControl, Text, Tooltip } from '@mantine/core';
import { IconCopy, IconDownload } from '@tabler/icons-react';
import { useState } from 'react';
import { write } from '../../model/lossless';
import { download } from '../../utils/download';
import { CutValue, isCut } from './CutValue';
import { Grid } from './Grid';

/** Of a large value so many characters are shown; the rest is in the file. */
const SHOWN = 20_000;

interface Props {
  name: string;
  value: unknown;
  /** Whose value it is, where that is a run. */
  run?: string;
}

/** Any JSON value: as a table where it is one, as text, or as JSON; large ones cut, with their size. */
export function Value({ name, value, run }: Props) {
  if (run !== undefined && isCut(value)) return <CutValue name={name} value={value} run={run} />;
  return <Whole name={name} value={value} />;
}

function Whole({ name, value }: Omit<Props, 'run'>) {
  const isTable = isRows(value);
  const [view, setView] = useState<string>('text');
  const text = typeof value === 'string' ? value : write(value, 2);
  const cut = text.length > SHOWN;
  return (
    <div className="value">
      <Group justify="space-between" gap="xs" mb={4}>
        <Text size="sm" fw={600}>
          {name}
        </Text>
        <Group gap={4}>
          {isTable && (
            <SegmentedControl
              size="xs"
              aria-label={`How ${name} is shown`}
              data={[
                { value: 'text', label: 'JSON' },
                { value: 'table', label: 'Table' },
              ]}
              value={view}
              onChange={setView}
            />
          )}
          <Tooltip label="Copy">
            <ActionIcon
              variant="subtle"
              color="gray"
              aria-label={`Copy ${name}`}
              onClick={() => void navigator.clipboard.writeText(text)}
            >
              <IconCopy size={16} />
            </ActionIcon>
          </Tooltip>
          <Tooltip label="Download">
            <ActionIcon
              variant="subtle"
              color="gray"
              aria-label={`Download ${name}`}
              onClick={() => download(`${name}.${typeof value === 'string' ? 'txt' : 'json'}`, text)}
            >
              <IconDownload size={16} />
            </ActionIcon>
          </Tooltip>
        </Group>
      </Group>
      {isTable && view === 'table' ? (
        <Grid rows={value} />
      ) : (
        // eslint-disable-next-line jsx-a11y-x/no-noninteractive-tabindex -- what scrolls must be reached by the keyboard
        <pre className="value-text" tabIndex={0} aria-label={name}>
          {text.slice(0, SHOWN)}
          {cut && `\n… ${text.length - SHOWN} more characters: download to see them`}
        </pre>
      )}
    </div>
  );
}

function isRows(value: unknown): value is Record<string, unknown>[] {
  const isObject = (item: unknown) => typeof item === 'object' && item !== null && !Array.isArray(item);
  return Array.isArray(value) && value.length > 0 && value.every(isObject);
}
