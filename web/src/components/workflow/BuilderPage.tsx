import { Loader } from '@mantine/core';
import { useState } from 'react';
import { useParams } from 'react-router';
import { isFailure, useGetMeQuery, useOpenWorkflowQuery, type Opened } from '../../services/api';
import { Failed } from '../common/Failed';
import { NotFound } from '../common/NotFound';
import { Editor } from './Editor';

/** The builder on a stored workflow. */
export function BuilderPage() {
  const { id = '' } = useParams();
  const workflow = useOpenWorkflowQuery(id, { refetchOnMountOrArgChange: true });
  const me = useGetMeQuery();
  // Taken once, when it is fresh: from then on it is edited here, and others' changes are told by the save.
  const [opened, setOpened] = useState<Opened | null>(null);
  const { data, isFetching, error } = workflow;
  if (opened?.id !== id && data?.id === id && !isFetching) setOpened(data);
  if (opened?.id === id && me.data) return <Editor key={id} workflow={opened} me={me.data} />;
  if (isFetching || !me.data) return <Loader m="xl" aria-label="The workflow is loading" />;
  if (isFailure(error) && error.status === 404) return <NotFound />;
  return <Failed what="The workflow can’t be had" error={error} again={() => void workflow.refetch()} />;
}
