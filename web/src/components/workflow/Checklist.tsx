import { Button, Popover, ScrollArea } from '@mantine/core';
import { IconAlertTriangle, IconCircleCheck } from '@tabler/icons-react';
import { useState } from 'react';
import { find, labelOf } from '../../model/document';
import { select } from '../../services/state';
import { useAct, useSeen } from '../../services/store';

/** Everything that is wrong with the workflow; each line leads to its node. */
export function Checklist() {
  const act = useAct();
  const problems = useSeen((state) => state.workflow.problems);
  const document = useSeen((state) => state.workflow.document);
  const [opened, setOpened] = useState(false);
  const count = problems.length;
  if (count === 0) {
    return (
      <span className="status checklist-fine" data-status="completed">
        <IconCircleCheck size={16} aria-hidden /> no problems
      </span>
    );
  }
  const label = (id: string | null) => {
    const found = id ? find(document, id) : undefined;
    return found ? labelOf(found.node) : 'Workflow';
  };
  return (
    <Popover opened={opened} onChange={setOpened} width={420} position="bottom-end" shadow="md" trapFocus>
      <Popover.Target>
        <Button
          size="xs"
          variant="default"
          className="checklist"
          leftSection={<IconAlertTriangle size={16} aria-hidden />}
          onClick={() => setOpened(!opened)}
        >
          {count === 1 ? '1 problem' : `${count} problems`}
        </Button>
      </Popover.Target>
      <Popover.Dropdown p={0}>
        <ScrollArea.Autosize mah={360}>
          <ul className="checklist-list">
            {problems.map((problem, index) => (
              <li key={index}>
                <button
                  type="button"
                  onClick={() => {
                    act(select(problem.node));
                    setOpened(false);
                  }}
                >
                  <strong>{label(problem.node)}</strong> {problem.message}
                </button>
              </li>
            ))}
          </ul>
        </ScrollArea.Autosize>
      </Popover.Dropdown>
    </Popover>
  );
}
