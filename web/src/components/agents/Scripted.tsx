import { Alert } from '@mantine/core';
import { useGetAboutQuery } from '../../services/api';

/** Says that nobody thinks here, and what to do about it. */
export function Scripted() {
  const about = useGetAboutQuery();
  if (!about.data?.models.scripted) return null;
  return (
    <Alert color="orange" variant="outline" classNames={{ title: 'warns' }} title="A script answers">
      Models that name no provider are answered from a script: nobody thinks. Start the server with{' '}
      <code>OPENAI_API_KEY</code>, and <code>OPENAI_BASE_URL</code> where it is another provider, to ask a
      model.
    </Alert>
  );
}
