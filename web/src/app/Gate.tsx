import { Button, Center, Loader } from '@mantine/core';
import { useEffect, type ReactNode } from 'react';
import { State as StateOf } from '../components/common/State';
import { api, isFailure, sentenceOf, useGetMeQuery, useGetWaysQuery } from '../services/api';
import { onKey } from '../services/credential';
import { useAct } from '../services/store';
import { SignIn } from './SignIn';

/** Lets in whom the server lets in, and asks the others for a key. */
export function Gate({ children }: { children: ReactNode }) {
  const act = useAct();
  const me = useGetMeQuery();
  const ways = useGetWaysQuery();
  useEffect(
    () =>
      onKey(() => {
        act(api.util.resetApiState());
      }),
    [act],
  );
  if (me.isLoading || ways.isLoading) {
    return (
      <Center h="100vh">
        <Loader aria-label="Callboard is loading" />
      </Center>
    );
  }
  if (me.error && isFailure(me.error) && me.error.status === 401) {
    return <SignIn refused={me.error.code === 'invalid_credential'} />;
  }
  if (me.error && !me.data) {
    return (
      <StateOf
        isPage
        title="Callboard can’t be reached"
        text={sentenceOf(me.error)}
        action={<Button onClick={() => void me.refetch()}>Try again</Button>}
      />
    );
  }
  return children;
}
