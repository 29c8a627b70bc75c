import { autocompletion, type Completion, type CompletionContext } from '@codemirror/autocomplete';
import { defaultKeymap, history, historyKeymap } from '@codemirror/commands';
import { HighlightStyle, syntaxHighlighting } from '@codemirror/language';
import { Compartment, EditorState } from '@codemirror/state';
import { EditorView, keymap } from '@codemirror/view';
import { tags } from '@lezer/highlight';
import { useEffect, useRef } from 'react';
import { nonce } from '../../app/secure';
import type { Name } from '../../model/scope';
import { expression, template } from './language';

interface Props {
  id: string;
  label: string;
  as: 'template' | 'expression';
  names: Name[];
  value: string;
  disabled?: boolean;
  onChange: (value: string) => void;
}

const colours = HighlightStyle.define([
  { tag: tags.brace, class: 'code-brace' },
  { tag: tags.string, class: 'code-string' },
  { tag: tags.number, class: 'code-number' },
  { tag: tags.keyword, class: 'code-keyword' },
  { tag: tags.variableName, class: 'code-name' },
]);

/** A text in the language of definitions. Tab leaves it, as it leaves every field. */
export function Code({ id, label, as, names, value, disabled, onChange }: Props) {
  const host = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView>(null);
  const editable = useRef(new Compartment());
  const now = useRef({ names, onChange });
  useEffect(() => {
    now.current = { names, onChange };
  });
  useEffect(() => {
    const complete = (context: CompletionContext) => {
      const word = context.matchBefore(/[\w.[\]"-]*/);
      if (!word || (word.from === word.to && !context.explicit)) return null;
      const isInside = as === 'expression' || /\{[{%][^}]*$/.test(context.state.sliceDoc(0, context.pos));
      const options = now.current.names.map(({ path, about }): Completion => ({
        label: path,
        detail: about,
        apply: isInside ? path : `{{ ${path} }}`,
      }));
      return { from: word.from, options, validFor: /^[\w.[\]"-]*$/ };
    };
    const editor = new EditorView({
      parent: host.current ?? undefined,
      state: EditorState.create({
        doc: value,
        extensions: [
          EditorView.cspNonce.of(nonce()),
          history(),
          keymap.of([...defaultKeymap, ...historyKeymap]),
          as === 'template' ? template : expression,
          syntaxHighlighting(colours),
          autocompletion({ override: [complete], icons: false }),
          EditorView.lineWrapping,
          EditorView.contentAttributes.of({ id, 'aria-label': label }),
          editable.current.of(EditorView.editable.of(true)),
          EditorView.updateListener.of((update) => {
            if (update.docChanged) now.current.onChange(update.state.doc.toString());
          }),
        ],
      }),
    });
    view.current = editor;
    return () => editor.destroy();
    // eslint-disable-next-line react-hooks/exhaustive-deps -- one editor for one field; later changes are handed to it below
  }, [as, id, label]);
  useEffect(() => {
    const editor = view.current;
    if (!editor || editor.state.doc.toString() === value) return;
    editor.dispatch({ changes: { from: 0, to: editor.state.doc.length, insert: value } });
  }, [value]);
  useEffect(() => {
    view.current?.dispatch({ effects: editable.current.reconfigure(EditorView.editable.of(!disabled)) });
  }, [disabled]);
  return <div ref={host} className={`code code-${as}`} />;
}
