import { Button, Group, Loader, Text } from '@mantine/core';
import { useState } from 'react';
import { write } from '../../model/lossless';
import { useGetHistoryQuery } from '../../services/api';
import { useSeen } from '../../services/store';
import type { Event } from '../../services/schema';
import { Failed } from '../common/Failed';

const PAGE = 200;
const SHOWN = 300;

/** The events of a run as they are recorded, in pages. */
export function History({ run }: { run: string }) {
  const [after, setAfter] = useState(0);
  const seq = useSeen((state) => state.workflow.overlay?.seq ?? 0);
  const page = useGetHistoryQuery(
    { id: run, after: String(after), limit: PAGE },
    { refetchOnMountOrArgChange: true },
  );
  if (page.isLoading) return <Loader m="md" size="sm" aria-label="The history is loading" />;
  if (page.error)
    return <Failed what="The history can’t be had" error={page.error} again={() => void page.refetch()} />;
  const items = (page.data as { items: Event[] } | undefined)?.items ?? [];
  const last = items.at(-1)?.seq ?? after;
  return (
    <div className="history">
      <ol>
        {items.map((event) => (
          <li key={event.seq}>
            <details>
              <summary>
                <span className="history-seq">{event.seq}</span>
                <span className="history-type">{event.type}</span>
                <span>
                  {event.node ?? ''}
                  {event.iteration ? ` ${event.iteration}` : ''}
                </span>
                <time dateTime={event.at}>{new Date(event.at).toLocaleTimeString()}</time>
              </summary>
              <pre>{cut(event.data)}</pre>
            </details>
          </li>
        ))}
      </ol>
      <Group p="xs">
        <Button size="compact-xs" variant="default" disabled={after === 0} onClick={() => setAfter(0)}>
          First
        </Button>
        <Button size="compact-xs" variant="default" disabled={last >= seq} onClick={() => setAfter(last)}>
          Further
        </Button>
        <Text size="xs" c="dimmed">
          {items[0]?.seq ?? 0} to {last} of {Math.max(seq, last)}
        </Text>
      </Group>
    </div>
  );
}

function cut(data: unknown): string {
  const text = write(data, 2);
  return text.length > SHOWN * 40 ? `${text.slice(0, SHOWN * 40)}…` : text;
}
