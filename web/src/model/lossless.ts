/** JSON in and out without changing a number. Whole numbers beyond 2^53 are kept as they are written. */

interface Source {
  source?: string;
}

// Newer than the library's types; in every browser that the page is for.
const Exact = JSON as unknown as {
  rawJSON?: (text: string) => unknown;
  parse: (text: string, reviver: (key: string, value: unknown, context?: Source) => unknown) => unknown;
};

export function parse(text: string): unknown {
  return Exact.parse(text, (_, value, context) => {
    const isChanged = typeof value === 'number' && !isKept(value, context?.source);
    return isChanged && Exact.rawJSON && context?.source ? Exact.rawJSON(context.source) : value;
  });
}

/** Whether the number says what its text says. */
function isKept(value: number, source: string | undefined): boolean {
  if (source === undefined || !/^-?\d+$/.test(source)) return true;
  return Number.isSafeInteger(value) && source !== '-0';
}

/** A value that is none, as an empty field, is null. */
export const write = (value: unknown, indent?: number): string =>
  value === undefined ? 'null' : JSON.stringify(value, null, indent);

/** A number that only a text can hold; where the browser can't keep it so, the nearest one. */
export const raw = (text: string): unknown => (Exact.rawJSON ? Exact.rawJSON(text) : Number(text));

/** The text of such a number; null of anything else. */
export function rawText(value: unknown): string | null {
  const text = typeof value === 'object' && value !== null ? (value as { rawJSON?: unknown }).rawJSON : null;
  return typeof text === 'string' && Object.isFrozen(value) && Object.getPrototypeOf(value) === null
    ? text
    : null;
}
