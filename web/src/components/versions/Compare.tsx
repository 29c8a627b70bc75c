import { Loader } from '@mantine/core';
import { useMemo } from 'react';
import { compared } from '../../model/compare';
import { definitionOf, type Definition } from '../../model/document';
import { told } from '../../model/diff';
import { useExportedQuery, useGetVersionQuery, useOpenWorkflowQuery } from '../../services/api';
import { Changes } from '../common/Changes';
import { Failed } from '../common/Failed';
import { DiffCanvas } from './DiffCanvas';
import { TextDiff } from './TextDiff';

interface Props {
  id: string;
  /** A version by its number, or `draft`. */
  from: string;
  to: string;
  as: 'drawing' | 'text';
}

/** What differs between two versions: on the drawing, in words, and as text. */
export function Compare({ id, from, to, as }: Props) {
  const [before, after] = [useDefinition(id, from), useDefinition(id, to)];
  const both = useMemo(
    () => (before.data && after.data ? compared(before.data, after.data) : null),
    [before.data, after.data],
  );
  const error = before.error ?? after.error;
  if (error) return <Failed what="One of the two can’t be had" error={error} />;
  if (!both) return <Loader m="md" size="sm" aria-label="The versions are loading" />;
  const lines = told(both.diff);
  return (
    <div className="compare">
      <div className="compare-shown">
        {as === 'drawing' ? <DiffCanvas compared={both} /> : <Texts id={id} from={from} to={to} />}
      </div>
      <section className="compare-words" aria-label="In words">
        <Changes lines={lines} none="They say the same." />
      </section>
    </div>
  );
}

function useDefinition(id: string, version: string): { data: Definition | undefined; error: unknown } {
  const isDraft = version === 'draft';
  const draft = useOpenWorkflowQuery(id, { skip: !isDraft });
  const stored = useGetVersionQuery({ id, n: Number(version) }, { skip: isDraft });
  const definition = stored.data?.definition as Record<string, unknown> | null | undefined;
  const published = useMemo(() => (definition ? definitionOf(definition) : undefined), [definition]);
  return { data: isDraft ? draft.data?.definition : published, error: isDraft ? draft.error : stored.error };
}

function Texts({ id, from, to }: { id: string; from: string; to: string }) {
  const named = (version: string) => ({
    id,
    version: version === 'draft' ? ('draft' as const) : Number(version),
  });
  const [before, after] = [useExportedQuery(named(from)), useExportedQuery(named(to))];
  const error = before.error ?? after.error;
  if (error) return <Failed what="One of the two can’t be had" error={error} />;
  if (before.data === undefined || after.data === undefined) {
    return <Loader m="md" size="sm" aria-label="The texts are loading" />;
  }
  return <TextDiff before={before.data} after={after.data} />;
}
