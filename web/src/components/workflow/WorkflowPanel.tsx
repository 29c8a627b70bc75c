import { CloseButton, NumberInput, Stack, Tabs, Textarea, TextInput, Title } from '@mantine/core';
import { trimmed } from '../../model/forms';
import type { Config } from '../../model/document';
import { select, updateWorkflow } from '../../services/state';
import { useAct, useSeen } from '../../services/store';
import { JsonText } from '../form/JsonText';
import type { Stored } from './Builder';
import { BudgetForm } from './BudgetForm';
import { HowToStart } from './HowToStart';
import { Late } from './Late';

interface Props {
  part: 'input' | 'output';
  readOnly: boolean;
  stored?: Stored;
  isDrawer: boolean;
}

/** What a workflow is as a whole: what it is called, takes and gives, and what bounds it. */
export function WorkflowPanel({ part, readOnly, stored, isDrawer }: Props) {
  const act = useAct();
  const document = useSeen((state) => state.workflow.document);
  const settings: Config = document.settings ?? {};
  return (
    <Tabs key={part} defaultValue={part} keepMounted={false}>
      <div className="panel-head">
        <Title order={2}>Workflow</Title>
        {isDrawer && <CloseButton ml="auto" aria-label="Close the panel" onClick={() => act(select(null))} />}
      </div>
      <Tabs.List>
        <Tabs.Tab value="input">Input</Tabs.Tab>
        <Tabs.Tab value="output">Output</Tabs.Tab>
        <Tabs.Tab value="settings">Settings</Tabs.Tab>
        {stored && <Tabs.Tab value="start">Start it</Tabs.Tab>}
      </Tabs.List>
      <div className="panel-body">
        <Tabs.Panel value="input">
          <Stack gap="md">
            <Late
              value={document.description ?? ''}
              onSettle={(text) => act(updateWorkflow({ description: text.trim() === '' ? undefined : text }))}
            >
              {(value, set, settle) => (
                <Textarea
                  classNames={{ input: 'grows' }}
                  label="What it is for"
                  disabled={readOnly}
                  value={value}
                  onChange={(event) => set(event.currentTarget.value)}
                  onBlur={settle}
                />
              )}
            </Late>
            <JsonText
              label="Input"
              description="JSON Schema of what a run is started with. Without one anything goes."
              placeholder='{"type": "object", "properties": {"topic": {"type": "string"}}, "required": ["topic"]}'
              disabled={readOnly}
              value={document.input}
              onSettle={(input) => act(updateWorkflow({ input }))}
            />
          </Stack>
        </Tabs.Panel>
        <Tabs.Panel value="output">
          <JsonText
            label="Output"
            description="A template. Without one it is the output of the last node."
            placeholder={'{"answer": "{{ steps.qa.output }}"}'}
            disabled={readOnly}
            value={document.output}
            onSettle={(output) => act(updateWorkflow({ output }))}
          />
        </Tabs.Panel>
        <Tabs.Panel value="settings">
          <Stack gap="md">
            <Late
              value={document.name}
              onSettle={(name) => {
                if (name.trim() !== '') act(updateWorkflow({ name }));
              }}
            >
              {(value, set, settle) => (
                <TextInput
                  label="Name"
                  disabled={readOnly}
                  value={value}
                  onChange={(event) => set(event.currentTarget.value)}
                  onBlur={settle}
                />
              )}
            </Late>
            <NumberInput
              label="Steps at once"
              description="How many steps of one run are under way together"
              placeholder="as the server does"
              min={1}
              max={64}
              disabled={readOnly}
              value={typeof settings.parallel === 'number' ? settings.parallel : ''}
              onChange={(value) => {
                const next = trimmed({
                  ...settings,
                  parallel: typeof value === 'number' ? value : undefined,
                });
                act(updateWorkflow({ settings: Object.keys(next).length > 0 ? next : undefined }));
              }}
            />
            <BudgetForm settings={settings} readOnly={readOnly} />
          </Stack>
        </Tabs.Panel>
        {stored && (
          <Tabs.Panel value="start">
            <HowToStart id={stored.id} />
          </Tabs.Panel>
        )}
      </div>
    </Tabs>
  );
}
