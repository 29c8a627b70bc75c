import { Button, Menu } from '@mantine/core';
import { restored } from '../../services/state';
import { useAct } from '../../services/store';
import { TEMPLATES } from '../workflows/templates';
import { State } from '../common/State';

/** A drawing without nodes: how to begin. */
export function EmptyCanvas({ onSettings }: { onSettings: () => void }) {
  const act = useAct();
  return (
    <div className="canvas-empty">
      <State
        title="Nothing is drawn yet"
        text="Add nodes one after the other: each is connected to the one that is selected."
        action={
          <>
            <Menu>
              <Menu.Target>
                <Button variant="default">Start with a template</Button>
              </Menu.Target>
              <Menu.Dropdown>
                {TEMPLATES.map((template) => (
                  <Menu.Item
                    key={template.name}
                    onClick={() =>
                      void Promise.all([template.document(), template.text()]).then(([document, text]) =>
                        act(restored(document, text)),
                      )
                    }
                  >
                    {template.title}
                  </Menu.Item>
                ))}
              </Menu.Dropdown>
            </Menu>
            <Button variant="subtle" onClick={onSettings}>
              Say what its input is
            </Button>
          </>
        }
      />
    </div>
  );
}
