import { Button, Loader, TextInput } from '@mantine/core';
import { IconFileImport, IconPlus, IconSearch, IconSitemap } from '@tabler/icons-react';
import { useState } from 'react';
import { useNavigate, useSearchParams } from 'react-router';
import { write } from '../../model/lossless';
import {
  useCreateDraftMutation,
  useListRunsQuery,
  useListWorkflowsQuery,
  type Written,
} from '../../services/api';
import { useMay } from '../../utils/may';
import { Failed } from '../common/Failed';
import { PageHead } from '../common/PageHead';
import { State } from '../common/State';
import { Gallery } from './Gallery';
import { ImportDialog } from './ImportDialog';
import { WorkflowTable } from './WorkflowTable';

/** Every workflow, with what became of its last runs. */
export function WorkflowsPage() {
  const may = useMay();
  const navigate = useNavigate();
  const [params, setParams] = useSearchParams();
  const search = params.get('search') ?? '';
  const workflows = useListWorkflowsQuery({ limit: 1000 }, { refetchOnMountOrArgChange: true });
  const runs = useListRunsQuery({ limit: 500 }, { refetchOnMountOrArgChange: true });
  const [save, saving] = useCreateDraftMutation();
  const [imports, setImports] = useState(false);
  const make = async (text: string, type: Written['type']) => {
    const { data } = await save({ text, type });
    if (data) await navigate(`/workflows/${data.id}`);
    return data !== undefined;
  };
  const begin = () => void make(write({ name: 'New workflow', nodes: [] }), 'application/json');
  if (workflows.isLoading) return <Loader m="xl" aria-label="The workflows are loading" />;
  if (!workflows.data) {
    return (
      <Failed
        what="The workflows can’t be had"
        error={workflows.error}
        again={() => void workflows.refetch()}
      />
    );
  }
  const all = workflows.data.items;
  const wanted = search.toLowerCase();
  const shown = all.filter(({ name, description }) =>
    `${name} ${description ?? ''}`.toLowerCase().includes(wanted),
  );
  return (
    <>
      <PageHead title="Workflows">
        {all.length > 0 && (
          <TextInput
            size="xs"
            w={220}
            leftSection={<IconSearch size={16} aria-hidden />}
            aria-label="Search workflows"
            placeholder="Search"
            value={search}
            onChange={(event) => {
              const text = event.currentTarget.value;
              setParams(text ? { search: text } : {}, { replace: true });
            }}
          />
        )}
        {may('edit') && (
          <>
            <Button
              size="xs"
              variant="default"
              leftSection={<IconFileImport size={16} aria-hidden />}
              onClick={() => setImports(true)}
            >
              Import
            </Button>
            <Button
              size="xs"
              loading={saving.isLoading}
              leftSection={<IconPlus size={16} aria-hidden />}
              onClick={begin}
            >
              New workflow
            </Button>
          </>
        )}
      </PageHead>
      <div className="page">
        {all.length === 0 ? (
          <State
            icon={<IconSitemap size={40} stroke={1.3} aria-hidden />}
            title="No workflows yet"
            text={
              may('edit') ? 'Begin with one of these, or with an empty drawing.' : 'Nobody has made one yet.'
            }
          />
        ) : (
          <WorkflowTable workflows={shown} runs={runs.data?.items ?? []} />
        )}
        {all.length > 0 && shown.length === 0 && (
          <State title="Nothing fits" text={`No workflow is called like “${search}”.`} />
        )}
        {saving.error && <Failed what="It could not be made" error={saving.error} />}
        {may('edit') && (
          <Gallery isFirst={all.length === 0} onChoose={(text) => void make(text, 'application/yaml')} />
        )}
      </div>
      <ImportDialog opened={imports} error={saving.error} onClose={() => setImports(false)} onImport={make} />
    </>
  );
}
