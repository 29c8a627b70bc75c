import { Kbd, Modal, TextInput } from '@mantine/core';
import { IconSearch } from '@tabler/icons-react';
import { useMemo, useRef, useState } from 'react';
import { useNavigate } from 'react-router';
import { matching, type Command } from '../model/commands';
import { useListWorkflowsQuery } from '../services/api';
import { useOffered } from '../utils/commands';
import './commands.css';

/** Commands and workflows with a search; the arrow keys choose, Enter does it. */
export function CommandPalette({ onClose }: { onClose: () => void }) {
  const navigate = useNavigate();
  const offered = useOffered();
  const workflows = useListWorkflowsQuery({ limit: 1000 });
  const [search, setSearch] = useState('');
  const [at, setAt] = useState(0);
  const list = useRef<HTMLDivElement>(null);
  const all = useMemo<Command[]>(
    () => [
      ...offered,
      ...(workflows.data?.items ?? []).map(({ id, name }) => ({
        id: `workflow ${id}`,
        label: name,
        group: 'Workflows',
        run: () => void navigate(`/workflows/${id}`),
      })),
    ],
    [navigate, offered, workflows.data],
  );
  const found = useMemo(() => inGroups(matching(all, search)), [all, search]);
  const choose = (command: Command | undefined) => {
    if (!command) return;
    onClose();
    // When the focus is back, so that what is done may take it.
    setTimeout(command.run);
  };
  const to = (index: number) => {
    const next = (index + found.length) % found.length;
    setAt(next);
    list.current?.children[next]?.scrollIntoView({ block: 'nearest' });
  };
  const pressed = (event: React.KeyboardEvent) => {
    if (event.key === 'Enter') choose(found[at]);
    else if (event.key === 'ArrowDown' && found.length > 0) to(at + 1);
    else if (event.key === 'ArrowUp' && found.length > 0) to(at - 1);
    else return;
    event.preventDefault();
  };
  return (
    <Modal
      opened
      onClose={onClose}
      withCloseButton={false}
      padding={8}
      size="lg"
      title={<span className="visually-hidden">Commands</span>}
      classNames={{ header: 'commands-head' }}
      yOffset="12vh"
    >
      <TextInput
        data-autofocus
        role="combobox"
        aria-label="Search commands and workflows"
        aria-expanded
        aria-controls="commands"
        aria-activedescendant={found[at] ? `command-${at}` : undefined}
        placeholder="What do you want to do?"
        leftSection={<IconSearch size={16} aria-hidden />}
        value={search}
        onChange={(event) => {
          setSearch(event.currentTarget.value);
          setAt(0);
        }}
        onKeyDown={pressed}
      />
      <div ref={list} id="commands" className="commands" role="listbox" aria-label="Commands">
        {found.map((command, index) => (
          // eslint-disable-next-line jsx-a11y-x/click-events-have-key-events -- the keys are those of the search field
          <div
            key={command.id}
            id={`command-${index}`}
            role="option"
            tabIndex={-1}
            aria-selected={index === at}
            className="command"
            onClick={() => choose(command)}
          >
            <span className="command-label">{command.label}</span>
            {command.keys && <Kbd size="xs">{command.keys}</Kbd>}
            <span className="command-group">{command.group}</span>
          </div>
        ))}
        {found.length === 0 && <p className="command-none">Nothing is called so.</p>}
      </div>
    </Modal>
  );
}

/** Those of one heading together, in the order in which the headings come. */
function inGroups(commands: Command[]): Command[] {
  const groups = [...new Set(commands.map(({ group }) => group))];
  return groups.flatMap((group) => commands.filter((command) => command.group === group));
}
