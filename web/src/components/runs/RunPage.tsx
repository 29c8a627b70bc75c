import { Loader } from '@mantine/core';
import { useEffect, useState } from 'react';
import { useParams } from 'react-router';
import type { Definition } from '../../model/document';
import { isFailure, useGetRunDefinitionQuery, useGetRunQuery } from '../../services/api';
import { opened } from '../../services/state';
import { useAct } from '../../services/store';
import { Failed } from '../common/Failed';
import { NotFound } from '../common/NotFound';
import { RunView } from './RunView';

/** A run on the drawing of its own definition, as it was recorded when the run began. */
export function RunPage() {
  const { id = '' } = useParams();
  const act = useAct();
  const run = useGetRunQuery({ id }, { refetchOnMountOrArgChange: true });
  const definition = useGetRunDefinitionQuery({ id });
  const drawn = definition.currentData?.definition as Definition | undefined;
  const [isOpen, setOpen] = useState<string | null>(null);
  useEffect(() => {
    if (!drawn) return;
    act(opened(drawn));
    // eslint-disable-next-line react-hooks/set-state-in-effect -- what is below reads the store, which has it only now
    setOpen(id);
  }, [act, drawn, id]);
  if (isFailure(run.error) && run.error.status === 404) return <NotFound />;
  const error = run.error ?? definition.error;
  if (error && !run.data) {
    return (
      <Failed
        what="The run can’t be had"
        error={error}
        again={() => {
          void run.refetch();
          void definition.refetch();
        }}
      />
    );
  }
  if (!run.data || isOpen !== id) return <Loader m="xl" aria-label="The run is loading" />;
  if ('unreadable' in run.data) {
    return (
      <Failed
        what="The run can’t be read"
        error={{ status: 500, code: 'unreadable', title: 'It is damaged, or a later version wrote it' }}
      />
    );
  }
  return <RunView key={id} run={run.data} />;
}
