import { CloseButton, Paper, TextInput } from '@mantine/core';
import { useReactFlow } from '@xyflow/react';
import { useEffect, useRef, useState } from 'react';
import { KINDS } from '../../model/kinds';
import { addNode, chooseType } from '../../services/state';
import { useAct } from '../../services/store';
import { KindIcon } from './KindIcon';

/** Kinds of nodes with a search: for the node that was just added, or for one that is added by the choice. */
export function Palette({ node, onClose }: { node: string; onClose: () => void }) {
  const act = useAct();
  const flow = useReactFlow();
  const [search, setSearch] = useState('');
  const [at, setAt] = useState(0);
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => field.current?.focus(), [node]);
  const wanted = search.trim().toLowerCase();
  const kinds = KINDS.filter(({ label, about }) => `${label} ${about}`.toLowerCase().includes(wanted));
  const choose = (type: string) => {
    if (node === 'new') act(addNode({ type }));
    else act(chooseType({ id: node, type }));
    onClose();
    requestAnimationFrame(() => void flow.fitView({ padding: 0.08, maxZoom: 1 }));
  };
  const pressed = (event: React.KeyboardEvent) => {
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (event.key === 'Escape') onClose();
    else if (event.key === 'Enter') {
      const kind = kinds[at];
      if (kind) choose(kind.name);
    } else if (by !== undefined && kinds.length > 0) setAt((at + by + kinds.length) % kinds.length);
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  return (
    <Paper className="palette" shadow="md" withBorder role="dialog" aria-label="Kinds of nodes">
      <div className="palette-head">
        <TextInput
          ref={field}
          size="xs"
          role="combobox"
          aria-label="Search kinds of nodes"
          aria-expanded
          aria-controls="palette-kinds"
          aria-activedescendant={kinds[at] ? `palette-${kinds[at].name}` : undefined}
          placeholder="Which kind of node?"
          value={search}
          onChange={(event) => {
            setSearch(event.currentTarget.value);
            setAt(0);
          }}
          onKeyDown={pressed}
        />
        <CloseButton size="sm" aria-label="Keep it as it is" onClick={onClose} />
      </div>
      <div id="palette-kinds" role="listbox" aria-label="Kinds">
        {kinds.map(({ name, label, about, family }, index) => {
          return (
            // eslint-disable-next-line jsx-a11y-x/click-events-have-key-events -- the keys are those of the search field
            <div
              key={name}
              id={`palette-${name}`}
              role="option"
              tabIndex={-1}
              aria-selected={index === at}
              className="palette-kind"
              data-family={family}
              onClick={() => choose(name)}
            >
              <KindIcon type={name} size={18} />
              <span className="palette-label">{label}</span>
              <span className="palette-about">{about}</span>
            </div>
          );
        })}
        {kinds.length === 0 && <p className="palette-none">No kind is called so.</p>}
      </div>
    </Paper>
  );
}
