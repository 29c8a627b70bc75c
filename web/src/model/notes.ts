/** Notes on the drawing. They stand in `metadata.notes`, which runs do not read; what is no note of ours is left alone. */
import { freeId, type Definition, type Position } from './document';

export interface Note {
  id: string;
  text: string;
  position: Position;
}

/** Before the id of a note on the drawing: ids of nodes have no colon. */
export const NOTE = 'note:';

const WIDTH = 208;
const LINE = 18;
const PAD = 24;
/** About as many letters stand on a line. */
const LETTERS = 26;

const all = (document: Definition): unknown[] => {
  const notes = document.metadata?.notes;
  return Array.isArray(notes) ? notes : [];
};

function isNote(value: unknown): value is Note {
  const { id, text, position } = (value ?? {}) as Partial<Record<keyof Note, unknown>>;
  const { x, y } = (position ?? {}) as Partial<Record<keyof Position, unknown>>;
  return typeof id === 'string' && typeof text === 'string' && typeof x === 'number' && typeof y === 'number';
}

export const notesOf = (document: Definition): Note[] => all(document).filter(isNote);

export const noteOf = (document: Definition, drawn: string | null): Note | undefined =>
  drawn?.startsWith(NOTE) ? notesOf(document).find((note) => NOTE + note.id === drawn) : undefined;

/** As high as its words need. */
export function sizeOfNote({ text }: Note): { width: number; height: number } {
  const lines = text
    .split('\n')
    .reduce((sum, line) => sum + Math.max(1, Math.ceil(line.length / LETTERS)), 0);
  return { width: WIDTH, height: Math.max(2, lines) * LINE + PAD };
}

function withNotes(document: Definition, notes: unknown[]): Definition {
  const metadata: Record<string, unknown> = { ...document.metadata, notes };
  if (notes.length === 0) delete metadata.notes;
  if (Object.keys(metadata).length > 0) return { ...document, metadata };
  const { metadata: none, ...rest } = document;
  return none ? rest : document;
}

export function addNote(document: Definition, position: Position): { document: Definition; id: string } {
  const id = freeId(new Set(notesOf(document).map((note) => note.id)), 'note');
  return { document: withNotes(document, [...all(document), { id, text: '', position }]), id };
}

const edit = (document: Definition, id: string, fields: Partial<Note>): Definition =>
  withNotes(
    document,
    all(document).map((note) => (isNote(note) && note.id === id ? { ...note, ...fields } : note)),
  );

export const writeNote = (document: Definition, id: string, text: string): Definition =>
  notesOf(document).some((note) => note.id === id && note.text !== text)
    ? edit(document, id, { text })
    : document;

/** Of what was moved on the drawing, the notes. */
export function moveNotes(document: Definition, to: Readonly<Record<string, Position>>): Definition {
  let next = document;
  for (const { id, position } of notesOf(document)) {
    const at = to[NOTE + id];
    const place = at && { x: Math.round(at.x), y: Math.round(at.y) };
    if (place && (place.x !== position.x || place.y !== position.y))
      next = edit(next, id, { position: place });
  }
  return next;
}

/** Of what is to go from the drawing, the notes. */
export function removeNotes(document: Definition, drawn: Iterable<string>): Definition {
  const gone = new Set(drawn);
  const left = all(document).filter((note) => !isNote(note) || !gone.has(NOTE + note.id));
  return left.length === all(document).length ? document : withNotes(document, left);
}
