import { List, Text } from '@mantine/core';

const SHOWN = 30;

/** What differs, in lines. */
export function Changes({ lines, none }: { lines: string[]; none: string }) {
  if (lines.length === 0) return <Text size="sm">{none}</Text>;
  return (
    <List size="sm">
      {lines.slice(0, SHOWN).map((line) => (
        <List.Item key={line}>{line}</List.Item>
      ))}
      {lines.length > SHOWN && <List.Item>and {lines.length - SHOWN} more</List.Item>}
    </List>
  );
}
