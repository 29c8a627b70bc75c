import { Stack, Text, Title } from '@mantine/core';
import type { ReactNode } from 'react';

interface Props {
  icon?: ReactNode;
  title: string;
  text?: ReactNode;
  action?: ReactNode;
}

/** A page, or a part of one, that has nothing to show: what it is, why, and what to do now. */
export function State({ icon, title, text, action }: Props) {
  return (
    <Stack className="state" align="center" justify="center" gap="sm" p="xl" role="status">
      {icon}
      <Title order={2}>{title}</Title>
      {text && (
        <Text c="dimmed" maw={480} ta="center">
          {text}
        </Text>
      )}
      {action}
    </Stack>
  );
}
