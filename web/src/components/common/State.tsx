import { Stack, Text, Title } from '@mantine/core';
import type { ReactNode } from 'react';

interface Props {
  icon?: ReactNode;
  title: string;
  text?: ReactNode;
  action?: ReactNode;
  /** Whether there is nothing beside it: its title is that of the page. */
  isPage?: boolean;
}

/** A page, or a part of one, that has nothing to show: what it is, why, and what to do now. */
export function State({ icon, title, text, action, isPage }: Props) {
  return (
    <Stack className="state" align="center" justify="center" gap="sm" p="xl" role="status">
      {icon}
      <Title order={isPage ? 1 : 2}>{title}</Title>
      {text && (
        <Text c="dimmed" maw={480} ta="center">
          {text}
        </Text>
      )}
      {action}
    </Stack>
  );
}
