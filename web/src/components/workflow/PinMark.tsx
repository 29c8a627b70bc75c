import { IconPin } from '@tabler/icons-react';
import { find } from '../../model/document';
import { canPin, isStale } from '../../model/pins';
import { useSeen } from '../../services/store';

/** That a node’s output is given when the draft is tried. */
export function PinMark({ id }: { id: string }) {
  const state = useSeen(({ workflow: { pins, document } }) => {
    const pin = pins[id];
    const node = pin && canPin(document, id) ? find(document, id)?.node : undefined;
    if (!pin || !node) return null;
    return isStale(node, pin) ? 'stale' : 'pinned';
  });
  if (!state) return null;
  return (
    <span className="node-pin" data-pin={state}>
      <IconPin size={13} aria-hidden /> {state === 'stale' ? 'pinned, stale' : 'pinned'}
    </span>
  );
}
