import { Button } from '@mantine/core';
import { Link } from 'react-router';
import { State } from './State';

export function NotFound() {
  return (
    <State
      isPage
      title="There is nothing here"
      text="The address may be mistyped, or what it led to is gone."
      action={
        <Button component={Link} to="/">
          To the workflows
        </Button>
      }
    />
  );
}
