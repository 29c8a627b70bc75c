import { Loader, SegmentedControl, Text } from '@mantine/core';
import { IconChartBar } from '@tabler/icons-react';
import { useState } from 'react';
import { useSearchParams } from 'react-router';
import { daysOf, short, spanOf, tokensOf } from '../../model/usage';
import { useGetUsageQuery } from '../../services/api';
import { Failed } from '../common/Failed';
import { PageHead } from '../common/PageHead';
import { State } from '../common/State';
import { Days } from './Days';
import { Shares } from './Shares';
import './usage.css';

const SPANS = [7, 30, 90];

/** What runs used: tokens and calls by day, and by what used them. */
export function UsagePage() {
  const [params, setParams] = useSearchParams();
  const days = SPANS.find((span) => String(span) === params.get('days')) ?? 30;
  const [now] = useState(() => Date.now());
  const span = spanOf(days, now);
  const usage = useGetUsageQuery({ ...span, by: ['day'], limit: 1000 }, { refetchOnMountOrArgChange: true });
  const { data, error, refetch } = usage;
  const total = data?.total;
  return (
    <>
      <PageHead title="Usage">
        <SegmentedControl
          size="xs"
          aria-label="Time"
          data={SPANS.map((one) => ({ value: String(one), label: `${one} days` }))}
          value={String(days)}
          onChange={(value) => setParams(value === '30' ? {} : { days: value })}
        />
      </PageHead>
      <div className="page">
        {usage.isLoading && <Loader aria-label="The usage is loading" />}
        {error && <Failed what="The usage can’t be had" error={error} again={() => void refetch()} />}
        {total?.calls === 0 && (
          <State
            icon={<IconChartBar size={40} stroke={1.3} aria-hidden />}
            title="No model was called"
            text={`No run that asked a model has ended in the last ${days} days. What a run used is summed up when it has ended.`}
          />
        )}
        {data && total && total.calls > 0 && (
          <>
            <dl className="usage-sums">
              <Sum name="Tokens" value={tokensOf(total)} />
              <Sum name="of questions" value={total.prompt_tokens} />
              <Sum name="of answers" value={total.completion_tokens} />
              <Sum name="Calls of models" value={total.calls} />
            </dl>
            <Days days={daysOf(data.items, span.from, span.to)} />
            <div className="usage-shares">
              <Shares span={span} by="workflow" title="By workflow" />
              <Shares span={span} by="agent" title="By agent" />
              <Shares span={span} by="model" title="By model" />
            </div>
            <Text size="sm" c="dimmed">
              Days are of UTC. What a run used is summed up when it has ended.
            </Text>
          </>
        )}
      </div>
    </>
  );
}

function Sum({ name, value }: { name: string; value: number }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd title={value.toLocaleString()}>{short(value)}</dd>
    </div>
  );
}
