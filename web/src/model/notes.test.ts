import { describe, expect, it } from 'vitest';
import { frozen } from './arbitrary.test-data';
import type { Definition } from './document';
import { draw } from './graph';
import { addNote, moveNotes, noteOf, notesOf, removeNotes, sizeOfNote, writeNote } from './notes';

const document: Definition = frozen({
  name: 'x',
  nodes: [{ id: 'a', type: 'wait' }],
  metadata: { of: 'somebody', notes: ['odd', { id: 'n', text: 'why', position: { x: 1, y: 2 } }] },
});

describe('notes', () => {
  it('are drawn behind the nodes, and what is no note is left alone', () => {
    expect(notesOf(document).map(({ id }) => id)).toEqual(['n']);
    expect(notesOf({ name: 'x', metadata: { notes: 7 } })).toEqual([]);
    const drawn = draw(document).nodes.find(({ id }) => id === 'note:n');
    expect(drawn).toMatchObject({ type: 'note', position: { x: 1, y: 2 }, ariaLabel: 'Note: why' });
    expect(noteOf(document, 'note:n')?.text).toBe('why');
    expect([noteOf(document, 'a'), noteOf(document, null)]).toEqual([undefined, undefined]);
  });

  it('are added, written, moved and taken away', () => {
    const added = addNote(document, { x: 5, y: 6 });
    expect(added.id).toBe('note-1');
    expect(added.document.metadata?.of).toBe('somebody');
    const written = writeNote(added.document, 'note-1', 'one\ntwo');
    expect(writeNote(written, 'note-1', 'one\ntwo')).toBe(written);
    const moved = moveNotes(written, { 'note:note-1': { x: 7.4, y: 8 }, a: { x: 0, y: 0 } });
    expect(noteOf(moved, 'note:note-1')).toEqual({
      id: 'note-1',
      text: 'one\ntwo',
      position: { x: 7, y: 8 },
    });
    expect(moveNotes(moved, { 'note:note-1': { x: 7, y: 8 } })).toBe(moved);
    const less = removeNotes(moved, ['note:note-1', 'note:n', 'a']);
    expect(less.metadata).toEqual({ of: 'somebody', notes: ['odd'] });
    expect(removeNotes(less, ['a'])).toBe(less);
  });

  it('leave nothing behind', () => {
    const plain: Definition = { name: 'x' };
    const added = addNote(plain, { x: 0, y: 0 });
    expect(removeNotes(added.document, ['note:note-1'])).toEqual(plain);
    expect(removeNotes(plain, ['note:note-1'])).toBe(plain);
  });

  it('are as high as their words', () => {
    const high = (text: string) => sizeOfNote({ id: 'n', text, position: { x: 0, y: 0 } }).height;
    expect(high('')).toBe(high('one\ntwo'));
    expect(high('word '.repeat(40))).toBeGreaterThan(high('one\ntwo'));
  });
});
