/** YAML, read and written beside the page where a text is long: what takes longer than a frame is a worker's. */
import type { Definition } from '../model/document';
import { parse, write } from '../model/lossless';
import type { Mistake, Place, Read } from '../model/yaml';
import type { Answer, Ask } from './yaml.worker';

/** From so many characters on a text is the worker's: about 90 nodes, which take 50 ms to read. */
const LONG = 15_000;

let worker: Worker | null = null;
let last = 0;
const waiting = new Map<number, { done: (answer: Answer) => void; failed: () => void }>();

function begin(): Worker {
  const begun = new Worker(new URL('./yaml.worker.ts', import.meta.url), { type: 'module' });
  begun.onmessage = ({ data: { id, answer } }: MessageEvent<{ id: number; answer: Answer }>) => {
    waiting.get(id)?.done(answer);
    waiting.delete(id);
  };
  begun.onerror = () => {
    worker = null;
    for (const { failed } of waiting.values()) failed();
    waiting.clear();
  };
  return begun;
}

/** Asks the worker; where there is none, `here` does it. */
async function ask<T>(length: number, what: () => Ask, there: (answer: Answer) => T, here: () => Promise<T>) {
  if (length < LONG || typeof Worker === 'undefined') return here();
  try {
    worker ??= begin();
    last += 1;
    const id = last;
    const answer = await new Promise<Answer>((done, failed) => {
      waiting.set(id, { done, failed: () => failed(new Error('the worker failed')) });
      worker?.postMessage({ id, ask: what() });
    });
    return there(answer);
  } catch {
    return here();
  }
}

const model = () => import('../model/yaml');
const documentOf = (json: string | null): Definition | null =>
  json === null ? null : (parse(json) as Definition);

/** Reads a text; says where it can't be read. */
export const read = (text: string): Promise<Read> =>
  ask(
    text.length,
    () => ({ do: 'read', text }),
    ({ json = null, mistakes = [] }) => ({ document: documentOf(json), mistakes }),
    async () => (await model()).read(text),
  );

/** The text of a document as it is after an edit, and whether all else in it stayed. */
export const follow = (text: string, document: Definition): Promise<{ text: string; isKept: boolean }> =>
  ask(
    text.length,
    () => ({ do: 'follow', text, json: write(document) }),
    (answer) => ({ text: answer.text ?? text, isKept: answer.isKept ?? false }),
    async () => (await model()).follow(text, document),
  );

/** A text of its own for a document. */
export function fresh(document: Definition): Promise<string> {
  const json = write(document);
  return ask(
    json.length,
    () => ({ do: 'fresh', json }),
    ({ text = '' }) => text,
    async () => (await model()).fresh(document),
  );
}

/** Where the things are that problems name. */
export const placesOf = (text: string, paths: string[]): Promise<Place[]> =>
  ask(
    paths.length === 0 ? 0 : text.length,
    () => ({ do: 'places', text, paths }),
    ({ places = [] }) => places,
    async () => (paths.length === 0 ? [] : (await model()).placesOf(text, paths)),
  );

export type { Mistake, Place };
