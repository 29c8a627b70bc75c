import { Loader, MantineProvider } from '@mantine/core';
import { ReactFlowProvider } from '@xyflow/react';
import { lazy, Suspense, useEffect, useState } from 'react';
import { Provider } from 'react-redux';
import { theme, variables } from '../../app/theme';
import { makeStore, useAct, useSeen } from '../../services/store';
import { redone, select, undone } from '../../services/state';
import { START } from '../../model/graph';
import type { Trying } from '../../model/pins';
import { useNarrow } from '../../utils/narrow';
import { Canvas } from './Canvas';
import { useClipboard } from './clipboard';
import { EmptyCanvas } from './EmptyCanvas';
import { useDrawingOffers } from './offers';
import { Outline } from './Outline';
import { Palette } from './Palette';
import { Panel } from './Panel';
import { Shortcuts } from './Shortcuts';
import { Toolbar } from './Toolbar';

// What reads and shows YAML is loaded when it is asked for.
const Yaml = lazy(async () => ({ default: (await import('./Yaml')).Yaml }));

/** What the builder is about; nothing of it is needed to draw. */
export interface Stored {
  id: string;
  version: number;
  /** Given to who may run a draft. */
  onTry?: (trying: Trying) => void;
}

/** The builder alone: with a store of its own, without router and without server. */
export function WorkflowBuilder() {
  const [store] = useState(makeStore);
  return (
    <MantineProvider theme={theme} cssVariablesResolver={variables}>
      <Provider store={store}>
        <Builder />
      </Provider>
    </MantineProvider>
  );
}

/** Toolbar, outline, canvas and panel over the workflow of the store. */
export function Builder({ stored, readOnly = false }: { stored?: Stored; readOnly?: boolean }) {
  const act = useAct();
  const isEmpty = useSeen((state) => (state.workflow.document.nodes ?? []).length === 0);
  // The node whose kind is chosen, or `new` where none was added yet.
  const [choosing, setChoosing] = useState<string | null>(null);
  const [outlined, setOutlined] = useState(() => innerWidth >= 1200);
  const isNarrow = useNarrow();
  // Over the drawing the panel stands only while there is something in it that was asked for.
  const isPanelShown = useSeen((state) => !isNarrow || state.workflow.selectedNode !== null);
  const [texted, setTexted] = useState(false);
  const [helps, setHelps] = useState(false);
  const [on] = useState(() => ({
    add: () => setChoosing('new'),
    text: () => setTexted((is) => !is),
    help: () => setHelps(true),
  }));
  useClipboard(readOnly);
  useEffect(() => {
    const pressed = (event: KeyboardEvent) => {
      const isCommand = event.ctrlKey || event.metaKey;
      if (isTyping(event.target)) return;
      if (isCommand && event.key.toLowerCase() === 'z' && !readOnly) {
        event.preventDefault();
        act(event.shiftKey ? redone() : undone());
      } else if (isCommand && event.key.toLowerCase() === 'y' && !readOnly) {
        event.preventDefault();
        act(redone());
      }
    };
    addEventListener('keydown', pressed);
    return () => removeEventListener('keydown', pressed);
  }, [act, readOnly]);
  return (
    <ReactFlowProvider>
      <div className={isNarrow ? 'builder is-narrow' : 'builder'}>
        <Toolbar
          readOnly={readOnly}
          isNarrow={isNarrow}
          outlined={outlined}
          onOutline={() => setOutlined(!outlined)}
          texted={texted}
          onText={() => setTexted(!texted)}
          onAdded={setChoosing}
          onHelp={() => setHelps(true)}
        />
        <div className="builder-parts">
          {outlined && (
            <Outline
              readOnly={readOnly}
              onTry={stored?.onTry}
              onAdd={() => setChoosing('new')}
              onClose={isNarrow ? () => setOutlined(false) : undefined}
            />
          )}
          <div className="builder-canvas">
            <Canvas readOnly={readOnly} onPalette={() => setChoosing('new')} onHelp={() => setHelps(true)} />
            {isEmpty && !readOnly && <EmptyCanvas onSettings={() => act(select(START))} />}
            {choosing && !readOnly && <Palette node={choosing} onClose={() => setChoosing(null)} />}
          </div>
          {texted ? (
            <Suspense fallback={<Loader m="md" size="sm" aria-label="The YAML is loading" />}>
              <Yaml readOnly={readOnly} onClose={() => setTexted(false)} />
            </Suspense>
          ) : (
            isPanelShown && <Panel stored={stored} readOnly={readOnly} isDrawer={isNarrow} />
          )}
        </div>
      </div>
      <Offers readOnly={readOnly} on={on} />
      <Shortcuts opened={helps} onClose={() => setHelps(false)} />
    </ReactFlowProvider>
  );
}

/** The commands of the drawing; they need to be inside of it. */
function Offers({ readOnly, on }: { readOnly: boolean; on: Parameters<typeof useDrawingOffers>[1] }) {
  useDrawingOffers(readOnly, on);
  return null;
}

/** Whether keys are somebody's text. */
export function isTyping(target: EventTarget | null): boolean {
  return (
    target instanceof HTMLElement &&
    (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName))
  );
}
