import { Button } from '@mantine/core';
import { useRouteError } from 'react-router';
import { State } from './State';

/** A part of the page that failed. Edits are kept, so loading it again loses nothing. */
export function Broken() {
  const error = useRouteError();
  const text = error instanceof Error ? error.message : 'It is not known why.';
  return (
    <main>
      <State
        isPage
        title="This page failed"
        text={`${text} What you edited is kept in this browser.`}
        action={<Button onClick={() => location.reload()}>Load it again</Button>}
      />
    </main>
  );
}
