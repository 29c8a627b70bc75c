import { Button, Paper, PasswordInput, Stack, Text, Title } from '@mantine/core';
import { useState } from 'react';
import { signIn } from '../services/credential';

/** Asks for a key. It stays in this tab and in those that are opened beside it, and goes with them. */
export function SignIn({ refused }: { refused: boolean }) {
  const [key, setKey] = useState('');
  const error = refused ? 'This key is not good, or not any more.' : undefined;
  return (
    <main className="sign-in">
      <Paper
        component="form"
        withBorder
        p="xl"
        w={400}
        onSubmit={(event) => {
          event.preventDefault();
          signIn(key);
        }}
      >
        <Stack gap="md">
          <Title order={1}>Sign in to Callboard</Title>
          <PasswordInput
            label="Key"
            description="One that an administrator made with “callboard keys create”"
            value={key}
            error={error}
            autoComplete="current-password"
            onChange={(event) => setKey(event.currentTarget.value)}
          />
          <Button type="submit" disabled={key.trim() === ''}>
            Sign in
          </Button>
          <Text size="sm" c="dimmed">
            The key is kept until the last tab of this browser is closed.
          </Text>
        </Stack>
      </Paper>
    </main>
  );
}
