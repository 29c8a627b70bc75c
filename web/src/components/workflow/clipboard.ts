import { useEffect } from 'react';
import { useStore } from 'react-redux';
import { useNodesSelected } from './selected';
import { copyOf, readFragment } from '../../model/edits';
import { pasted, remove } from '../../services/state';
import { useAct, type State } from '../../services/store';
import { isTyping } from './Builder';

/** Copy, cut, paste and duplicate, as JSON through the clipboard: also from another workflow or another tab. */
export function useClipboard(readOnly: boolean): void {
  const act = useAct();
  const store = useStore<State>();
  const selected = useNodesSelected();
  useEffect(() => {
    const chosen = (event: Event) => {
      const isText = isTyping(event.target) || (getSelection()?.toString() ?? '') !== '';
      return isText ? [] : selected();
    };
    const document = () => store.getState().workflow.document;
    const copy = (event: ClipboardEvent) => {
      const ids = chosen(event);
      if (ids.length === 0) return;
      event.preventDefault();
      event.clipboardData?.setData('text/plain', JSON.stringify(copyOf(document(), ids)));
      if (event.type === 'cut' && !readOnly) act(remove({ nodes: ids, edges: [] }));
    };
    const paste = (event: ClipboardEvent) => {
      if (readOnly || isTyping(event.target)) return;
      const fragment = readFragment(event.clipboardData?.getData('text/plain') ?? '');
      if (!fragment) return;
      event.preventDefault();
      act(pasted(fragment));
    };
    const duplicate = (event: KeyboardEvent) => {
      if (readOnly || !(event.ctrlKey || event.metaKey) || event.key.toLowerCase() !== 'd') return;
      const ids = chosen(event);
      if (ids.length === 0) return;
      event.preventDefault();
      act(pasted(copyOf(document(), ids)));
    };
    addEventListener('copy', copy);
    addEventListener('cut', copy);
    addEventListener('paste', paste);
    addEventListener('keydown', duplicate);
    return () => {
      removeEventListener('copy', copy);
      removeEventListener('cut', copy);
      removeEventListener('paste', paste);
      removeEventListener('keydown', duplicate);
    };
  }, [act, store, selected, readOnly]);
}
