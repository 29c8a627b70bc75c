import { Loader } from '@mantine/core';
import { useParams } from 'react-router';
import { isFailure, useGetMeQuery, useOpenWorkflowQuery } from '../../services/api';
import { Failed } from '../common/Failed';
import { NotFound } from '../common/NotFound';
import { Editor } from './Editor';

/** The builder on a stored workflow. */
export function BuilderPage() {
  const { id = '' } = useParams();
  const workflow = useOpenWorkflowQuery(id);
  const me = useGetMeQuery();
  // Saving makes the answer newer; what is edited is taken from it once.
  const data = workflow.data;
  if (workflow.isLoading || !me.data) return <Loader m="xl" aria-label="The workflow is loading" />;
  if (isFailure(workflow.error) && workflow.error.status === 404) return <NotFound />;
  if (data?.id !== id) {
    return (
      <Failed what="The workflow can’t be had" error={workflow.error} again={() => void workflow.refetch()} />
    );
  }
  return <Editor key={id} workflow={data} me={me.data} />;
}
