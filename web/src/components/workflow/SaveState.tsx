import { IconAlertTriangle, IconCircleCheck, IconLoader2, IconPencil, type Icon } from '@tabler/icons-react';
import { useEffect, useState } from 'react';
import { ago } from '../../utils/time';
import type { Save } from './save';

const SIGNS: Record<Save['phase'], Icon> = {
  saved: IconCircleCheck,
  edited: IconPencil,
  saving: IconLoader2,
  failed: IconAlertTriangle,
  conflict: IconAlertTriangle,
};

/** Whether what is edited is saved. Why it is not stands in `NotSaved`. */
export function SaveState({ save }: { save: Save }) {
  useMinutes();
  const Sign = SIGNS[save.phase];
  const words = {
    saved: stands(save),
    edited: 'edited',
    saving: 'saving…',
    failed: 'not saved',
    conflict: 'not saved',
  };
  return (
    <span className="editor-saved" data-phase={save.phase}>
      <Sign size={16} aria-hidden className={save.phase === 'saving' ? 'turns' : undefined} />{' '}
      {words[save.phase]}
    </span>
  );
}

function stands({ isDraft, version, at }: Save): string {
  if (!isDraft) return `version ${version}, published`;
  const than = version > 0 ? `differs from version ${version}` : 'never published';
  return `saved ${ago(at)} · ${than}`;
}

/** Draws again every ten seconds, so that “3 min ago” stays true. */
function useMinutes() {
  const [, set] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => set((n) => n + 1), 10_000);
    return () => clearInterval(timer);
  }, []);
}
