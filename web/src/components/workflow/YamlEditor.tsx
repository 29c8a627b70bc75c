import { defaultKeymap, history, historyKeymap } from '@codemirror/commands';
import { yaml } from '@codemirror/lang-yaml';
import { HighlightStyle, syntaxHighlighting } from '@codemirror/language';
import { Compartment, EditorState, StateEffect, StateField, type Range } from '@codemirror/state';
import { Decoration, EditorView, keymap, lineNumbers, type DecorationSet } from '@codemirror/view';
import { tags } from '@lezer/highlight';
import { useEffect, useImperativeHandle, useRef, type Ref } from 'react';
import { nonce } from '../../app/secure';

export interface Marked {
  from: number;
  to: number;
  line: number;
  message: string;
}

export interface YamlView {
  goTo: (at: number) => void;
}

interface Props {
  ref: Ref<YamlView>;
  text: string;
  marks: Marked[];
  /** What is brought into view. */
  shown: { from: number } | null;
  readOnly: boolean;
  onType: (text: string) => void;
}

const colours = HighlightStyle.define([
  { tag: tags.propertyName, class: 'code-name' },
  { tag: tags.string, class: 'code-string' },
  { tag: tags.number, class: 'code-number' },
  { tag: [tags.keyword, tags.bool, tags.null], class: 'code-keyword' },
  { tag: tags.comment, class: 'code-comment' },
]);

const setMarks = StateEffect.define<Marked[]>();
const marked = StateField.define<DecorationSet>({
  create: () => Decoration.none,
  update: (before, transaction) => {
    const given = transaction.effects.find((effect) => effect.is(setMarks));
    if (!given) return before.map(transaction.changes);
    const { doc } = transaction.state;
    return Decoration.set(
      given.value.flatMap(({ from, to, message }): Range<Decoration>[] => {
        const start = Math.min(from, doc.length);
        const line = Decoration.line({ class: 'yaml-line-wrong', attributes: { title: message } });
        const whole = [line.range(doc.lineAt(start).from)];
        const end = Math.min(to, doc.length);
        return end > start ? [...whole, Decoration.mark({ class: 'yaml-wrong' }).range(start, end)] : whole;
      }),
      true,
    );
  },
  provide: (field) => EditorView.decorations.from(field),
});

/** A text with colours, numbers and marks. Tab leaves it, as it leaves every field. */
export function YamlEditor({ ref, text, marks, shown, readOnly, onType }: Props) {
  const host = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView>(null);
  const editable = useRef(new Compartment());
  const now = useRef(onType);
  useEffect(() => {
    now.current = onType;
  });
  useEffect(() => {
    const editor = new EditorView({
      parent: host.current ?? undefined,
      state: EditorState.create({
        doc: text,
        extensions: [
          EditorView.cspNonce.of(nonce()),
          lineNumbers(),
          history(),
          keymap.of([...defaultKeymap, ...historyKeymap]),
          yaml(),
          syntaxHighlighting(colours),
          marked,
          EditorView.contentAttributes.of({ 'aria-label': 'Definition as YAML', tabindex: '0' }),
          editable.current.of([]),
          EditorView.updateListener.of((update) => {
            const isTyped = update.transactions.some(
              (one) => one.isUserEvent('input') || one.isUserEvent('delete'),
            );
            const isBack = update.transactions.some(
              (one) => one.isUserEvent('undo') || one.isUserEvent('redo'),
            );
            const isMoved = update.transactions.some((one) => one.isUserEvent('move'));
            if (update.docChanged && (isTyped || isBack || isMoved)) now.current(update.state.doc.toString());
          }),
        ],
      }),
    });
    view.current = editor;
    return () => editor.destroy();
    // eslint-disable-next-line react-hooks/exhaustive-deps -- one editor; later changes are handed to it below
  }, []);
  useEffect(() => {
    const editor = view.current;
    if (!editor) return;
    const change = between(editor.state.doc.toString(), text);
    if (change) editor.dispatch({ changes: change });
  }, [text]);
  useEffect(() => {
    view.current?.dispatch({ effects: setMarks.of(marks) });
  }, [marks, text]);
  useEffect(() => {
    const extension = [EditorView.editable.of(!readOnly), EditorState.readOnly.of(readOnly)];
    view.current?.dispatch({ effects: editable.current.reconfigure(extension) });
  }, [readOnly]);
  useEffect(() => {
    const editor = view.current;
    if (!shown || !editor || editor.hasFocus) return;
    const at = Math.min(shown.from, editor.state.doc.length);
    editor.dispatch({
      selection: { anchor: at },
      effects: EditorView.scrollIntoView(at, { y: 'start', yMargin: 48 }),
    });
  }, [shown]);
  useImperativeHandle(ref, () => ({
    goTo: (at) => {
      const editor = view.current;
      if (!editor) return;
      const anchor = Math.min(at, editor.state.doc.length);
      editor.dispatch({ selection: { anchor }, effects: EditorView.scrollIntoView(anchor, { y: 'center' }) });
      editor.focus();
    },
  }));
  return <div ref={host} className="code code-yaml" />;
}

/** What differs, from the first character to the last: the cursor stays where it is. */
function between(before: string, after: string): { from: number; to: number; insert: string } | null {
  if (before === after) return null;
  let from = 0;
  while (from < before.length && before[from] === after[from]) from += 1;
  let [to, end] = [before.length, after.length];
  while (to > from && end > from && before[to - 1] === after[end - 1]) {
    to -= 1;
    end -= 1;
  }
  return { from, to, insert: after.slice(from, end) };
}
