import { SegmentedControl, Tabs } from '@mantine/core';
import { runStatus } from '../../model/overlay';
import type { Run } from '../../services/api';
import { useSeen } from '../../services/store';
import { Value } from '../common/Value';
import { Builder } from '../workflow/Builder';
import { useFollow } from '../workflow/follow';
import { useGeneration } from './generation';
import { History } from './History';
import { RunHead } from './RunHead';
import { StepTable } from './StepTable';
import { Timeline } from './Timeline';

/** The drawing above, and below it the same run as a timeline, as steps, as events, and what it took and gave. */
export function RunView({ run }: { run: Run }) {
  const { generation, newest, isNewest, choose } = useGeneration(run.id);
  const isConnected = useFollow(run.id, null, isNewest);
  // Of an earlier generation nodes are told, and not what became of the run.
  const seen = useSeen((state) => (state.workflow.overlay?.seq ? runStatus(state.workflow.overlay) : null));
  const status = seen ?? run.status;
  return (
    <div className="run-view">
      <RunHead run={run} status={status} isConnected={isConnected} />
      <div className="run-drawing">
        <Builder readOnly />
      </div>
      {newest > 1 && (
        <div className="run-generations">
          <SegmentedControl
            size="xs"
            aria-label="Generation"
            data={Array.from({ length: newest }, (_, index) => ({
              value: String(index + 1),
              label: `Generation ${index + 1}`,
            }))}
            value={String(generation)}
            onChange={(value) => choose(Number(value))}
          />
        </div>
      )}
      <Tabs defaultValue="timeline" className="run-tabs" keepMounted={false}>
        <Tabs.List>
          <Tabs.Tab value="timeline">Timeline</Tabs.Tab>
          <Tabs.Tab value="steps">Steps</Tabs.Tab>
          <Tabs.Tab value="data">Input and output</Tabs.Tab>
          <Tabs.Tab value="history">History</Tabs.Tab>
        </Tabs.List>
        <Tabs.Panel value="timeline">
          <Timeline run={run.id} generation={generation} />
        </Tabs.Panel>
        <Tabs.Panel value="steps">
          <StepTable run={run.id} generation={generation} />
        </Tabs.Panel>
        <Tabs.Panel value="data">
          <div className="run-data">
            <Value name="Input" value={(run.input as unknown) ?? null} />
            <Value name="Output" value={(run.output as unknown) ?? null} />
          </div>
        </Tabs.Panel>
        <Tabs.Panel value="history">
          <History run={run.id} />
        </Tabs.Panel>
      </Tabs>
    </div>
  );
}
