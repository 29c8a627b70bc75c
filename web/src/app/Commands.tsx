import { lazy, Suspense, useEffect, useMemo, useState } from 'react';
import { useMantineColorScheme } from '@mantine/core';
import { useNavigate } from 'react-router';
import type { Command } from '../model/commands';
import { useOffers } from '../utils/commands';
import { useScheme } from '../utils/scheme';

const CommandPalette = lazy(async () => ({ default: (await import('./CommandPalette')).CommandPalette }));

const PAGES: [string, string, string?][] = [
  ['/', 'Workflows'],
  ['/runs', 'Runs'],
  ['/approvals', 'Approvals'],
  ['/agents', 'Agents', 'models tools chat'],
  ['/triggers', 'Triggers', 'schedules webhooks'],
  ['/usage', 'Usage', 'tokens cost'],
  ['/settings', 'Settings', 'keys account'],
];

/** Ctrl+K: everything that can be done here, by its name. */
export function Commands() {
  const navigate = useNavigate();
  const { setColorScheme } = useMantineColorScheme();
  const scheme = useScheme();
  const [opened, setOpened] = useState(false);
  const own = useMemo<Command[]>(() => {
    const other = scheme === 'dark' ? 'light' : 'dark';
    return [
      ...PAGES.map(([to, label, also]) => ({
        id: to,
        label: `Go to ${label}`,
        group: 'Pages',
        also,
        run: () => void navigate(to),
      })),
      { id: 'theme', label: `Use the ${other} theme`, group: 'Page', run: () => setColorScheme(other) },
    ];
  }, [navigate, scheme, setColorScheme]);
  useOffers(own);
  useEffect(() => {
    const pressed = (event: KeyboardEvent) => {
      if (!(event.ctrlKey || event.metaKey) || event.key.toLowerCase() !== 'k') return;
      event.preventDefault();
      event.stopPropagation();
      setOpened((is) => !is);
    };
    // Before an editor takes the keys for itself.
    addEventListener('keydown', pressed, { capture: true });
    return () => removeEventListener('keydown', pressed, { capture: true });
  }, []);
  if (!opened) return null;
  return (
    <Suspense>
      <CommandPalette onClose={() => setOpened(false)} />
    </Suspense>
  );
}
