/** The key of this tab. A new tab asks those that are open for it; what is closed is forgotten. */

const NAME = 'callboard.key';
const CHANNEL = 'callboard';
/** So long a new tab waits for another one to answer. */
const PATIENCE_MS = 150;

type Word = { ask: true } | { key: string } | { signedOut: true };

const listeners = new Set<() => void>();
let channel: BroadcastChannel | null = null;

function open(): BroadcastChannel | null {
  if (channel || typeof BroadcastChannel === 'undefined') return channel;
  channel = new BroadcastChannel(CHANNEL);
  channel.addEventListener('message', (message: MessageEvent<Word>) => {
    const word = message.data;
    const own = getKey();
    if ('ask' in word && own) channel?.postMessage({ key: own } satisfies Word);
    if ('signedOut' in word) keep(null);
    if ('key' in word && !own) keep(word.key);
  });
  return channel;
}

function keep(key: string | null): void {
  if (key === null) sessionStorage.removeItem(NAME);
  else sessionStorage.setItem(NAME, key);
  for (const listener of listeners) listener();
}

export const getKey = (): string | null => sessionStorage.getItem(NAME);

export function signIn(key: string): void {
  open();
  keep(key.trim());
}

/** Signs out, in every tab. */
export function signOut(): void {
  keep(null);
  open()?.postMessage({ signedOut: true } satisfies Word);
}

/** Asks the other tabs for their key. */
export async function askTabs(): Promise<void> {
  const tabs = open();
  if (!tabs || getKey()) return;
  await new Promise<void>((resolve) => {
    const done = () => {
      listeners.delete(done);
      resolve();
    };
    listeners.add(done);
    setTimeout(done, PATIENCE_MS);
    tabs.postMessage({ ask: true } satisfies Word);
  });
}

export function onKey(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}
