import { Group, Title } from '@mantine/core';
import type { ReactNode } from 'react';

/** The head of a page: its name, and what can be done on it. */
export function PageHead({ title, children }: { title: ReactNode; children?: ReactNode }) {
  return (
    <Group component="header" className="page-head" justify="space-between" gap="md">
      <Title order={1}>{title}</Title>
      <Group gap="xs">{children}</Group>
    </Group>
  );
}
