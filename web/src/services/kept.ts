/** Edits that the server does not have yet, and outputs that are pinned: kept in this browser. Emptied at sign-out. */
import type { Definition } from '../model/document';
import { write } from '../model/lossless';
import type { Pins } from '../model/pins';

export interface Kept {
  document: Definition;
  /** As it is written, where that is YAML. */
  text: string | null;
  /** The draft, or the version, that was edited. */
  base: string;
  at: number;
}

const DATABASE = 'callboard';
const STORE = 'edits';

function database(): Promise<IDBDatabase | null> {
  if (typeof indexedDB === 'undefined') return Promise.resolve(null);
  return new Promise((resolve) => {
    const opening = indexedDB.open(DATABASE, 1);
    opening.onupgradeneeded = () => opening.result.createObjectStore(STORE);
    opening.onsuccess = () => resolve(opening.result);
    // A browser that keeps nothing still edits.
    opening.onerror = () => resolve(null);
  });
}

async function within<T>(
  mode: IDBTransactionMode,
  act: (store: IDBObjectStore) => IDBRequest<T>,
): Promise<T | undefined> {
  const db = await database();
  if (!db) return undefined;
  return new Promise((resolve) => {
    const transaction = db.transaction(STORE, mode);
    const asked = act(transaction.objectStore(STORE));
    transaction.oncomplete = () => {
      db.close();
      resolve(asked.result);
    };
    transaction.onerror = transaction.onabort = () => {
      db.close();
      resolve(undefined);
    };
  });
}

/** Edits are of somebody in a project: another one of this browser does not see them. */
export const keptKey = (project: string, subject: string, workflow: string): string =>
  JSON.stringify([project, subject, workflow]);

// As text: a number beyond 2^53 is no value that a browser can store otherwise.
export const keep = (key: string, kept: Kept) =>
  within('readwrite', (store) => store.put(JSON.stringify(kept), key));
export const forget = (key: string) => within('readwrite', (store) => store.delete(key));
export const forgetAll = () => within('readwrite', (store) => store.clear());

export async function kept(key: string, parse: (text: string) => unknown): Promise<Kept | null> {
  const text = await within<unknown>('readonly', (store) => store.get(key) as IDBRequest<unknown>);
  return typeof text === 'string' ? (parse(text) as Kept) : null;
}

const pinsOf = (key: string): string => `${key} pins`;

export const keepPins = (key: string, pins: Pins): Promise<unknown> =>
  Object.keys(pins).length > 0
    ? within('readwrite', (store) => store.put(write(pins), pinsOf(key)))
    : within('readwrite', (store) => store.delete(pinsOf(key)));

export async function keptPins(key: string, parse: (text: string) => unknown): Promise<Pins> {
  const text = await within<unknown>('readonly', (store) => store.get(pinsOf(key)) as IDBRequest<unknown>);
  return typeof text === 'string' ? (parse(text) as Pins) : {};
}
