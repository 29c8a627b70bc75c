/** The definition as the YAML that somebody wrote: read, found in, and followed by the edits of the drawing. */
import {
  Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  parseDocument,
  stringify,
  visit,
  type Pair,
  type ParsedNode,
  type YAMLMap,
} from 'yaml';
import { equal } from './diff';
import { raw, rawText } from './lossless';
import type { Definition } from './document';

export interface Mistake {
  /** Where it is in the text, in characters. */
  from: number;
  to: number;
  /** The line, from 1. */
  line: number;
  message: string;
}

export interface Read {
  /** Nothing where the text can't be read. */
  document: Definition | null;
  mistakes: Mistake[];
}

// Whole numbers of any length are kept; `<<` is a key as any other, and so it is for the server.
const OPTIONS = { intAsBigInt: true, merge: false } as const;

/** Reads a text; says where it can't be read. */
export function read(text: string): Read {
  const tree = parseDocument(text, OPTIONS);
  const mistakes = tree.errors.map(({ pos, message }) => ({
    from: pos[0],
    to: Math.max(pos[0], pos[1]),
    line: lineAt(text, pos[0]),
    message: message.split(' at line ')[0] ?? message,
  }));
  if (mistakes.length > 0) return { document: null, mistakes };
  const value = valueOf(tree.contents, tree);
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    return { document: { name: '', ...value }, mistakes };
  }
  return {
    document: null,
    mistakes: [{ from: 0, to: text.length, line: 1, message: 'This is no definition.' }],
  };
}

export interface Place {
  from: number;
  to: number;
  line: number;
}

/** Where the things are that problems name, by their paths: as near as they can be had. */
export function placesOf(text: string, paths: string[]): Place[] {
  const tree = parseDocument(text, OPTIONS);
  return paths.map((path) => placeOf(text, tree.contents, path));
}

function placeOf(text: string, contents: ParsedNode | null, path: string): Place {
  let node = contents;
  let [from, to] = [0, 0];
  for (const step of path.match(/[^.[\]]+/g) ?? []) {
    const pair: Pair<ParsedNode, ParsedNode | null> | undefined = isMap(node)
      ? node.items.find((item) => keyOf(item) === step)
      : undefined;
    const item: ParsedNode | null | undefined = isSeq(node)
      ? (node.items[Number(step)] ?? null)
      : pair?.value;
    if (item === undefined || (item === null && !pair)) break;
    const range = pair ? pair.key.range : item?.range;
    if (range) [from, to] = [range[0], range[1]];
    if (item && pair && isScalar(item)) to = item.range[1];
    node = item;
  }
  return { from, to: Math.max(from, lastOnLine(text, from, to)), line: lineAt(text, from) };
}

const lastOnLine = (text: string, from: number, to: number): number => {
  const end = text.indexOf('\n', from);
  return end < 0 ? to : Math.min(to, end);
};

const lineAt = (text: string, at: number): number => text.slice(0, at).split('\n').length;

/** A text of its own for a document, short things on one line. */
export function fresh(document: Definition): string {
  return printed(document);
}

/** A value as the library writes it, with places and edges on one line each. */
function printed(value: unknown): string {
  const tree = new Document(plain(value));
  visit(tree, {
    // Without quotes the server would read it as a number.
    Scalar: (_, scalar) => {
      if (typeof scalar.value === 'string' && wholeOf(scalar.value) !== null) scalar.type = 'QUOTE_DOUBLE';
    },
    Map: (_, map) => {
      const names = map.items.map((pair) => (isScalar(pair.key) ? String(pair.key.value) : '')).join(' ');
      const isShort = map.items.every((pair) => isScalar(pair.value));
      if (isShort && (names === 'x y' || names === 'source target')) map.flow = true;
    },
  });
  return tree.toString({ lineWidth: 0, ...FLAT });
}

const FLAT = { flowCollectionPadding: false, blockQuote: 'literal' } as const;

/** A value as the library writes it: numbers that only a text can hold are whole ones of any length. */
function plain(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  const number = rawText(value);
  if (number !== null) return /^-?\d+$/.test(number) ? BigInt(number) : Number(number);
  if (Array.isArray(value)) return value.map(plain);
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, field]) => field !== undefined)
      .map(([name, field]) => [name, plain(field)]),
  );
}

/** What a part of a text says, with aliases put in. */
function valueOf(node: unknown, tree: Document.Parsed | Document): unknown {
  if (isAlias(node)) return valueOf(node.resolve(tree), tree);
  if (isMap(node)) {
    return Object.fromEntries(
      (node.items as Pair<ParsedNode, ParsedNode | null>[]).map((pair) => [
        keyOf(pair),
        valueOf(pair.value, tree),
      ]),
    );
  }
  if (isSeq(node)) return node.items.map((item) => valueOf(item, tree));
  if (!isScalar(node)) return null;
  const { value } = node;
  if (node.type === 'PLAIN' && typeof value === 'string') return wholeOf(value) ?? value;
  if (typeof value !== 'bigint') return value ?? null;
  return Number.isSafeInteger(Number(value)) ? Number(value) : raw(value.toString());
}

const keyOf = (pair: Pair<ParsedNode>): string =>
  isScalar(pair.key) ? String(pair.key.value) : String(pair.key);

/** Texts that the server reads as whole numbers and the library does not: `0b11`, `-0x1F`, `1_000`. */
const WHOLE =
  /^([-+]?)(0b[01]+(?:_[01]+)*|0o[0-7]+(?:_[0-7]+)*|0x[\da-f]+(?:_[\da-f]+)*|[1-9]\d*(?:_\d+)+)$/i;

function wholeOf(text: string): number | null {
  const [, sign, digits] = WHOLE.exec(text) ?? [];
  if (digits === undefined) return null;
  const value = Number(digits.replaceAll('_', '').toLowerCase());
  return Number.isSafeInteger(value) ? (sign === '-' ? -value : value) : null;
}

interface Edit {
  from: number;
  to: number;
  text: string;
}

/** Thrown where a change can't be put into a text without writing all of it anew. */
class Anew extends Error {}

/** So often what was changed is read again: what is inside of what was moved is done the next time. */
const PASSES = 12;

/**
 * Puts what a document says into a text, each change at its own place. `isKept` is false where all had to be written anew,
 * and comments are lost.
 */
export function follow(text: string, document: Definition): { text: string; isKept: boolean } {
  const wanted = JSON.parse(JSON.stringify(document, exact)) as unknown;
  let now = text;
  try {
    for (let pass = 0; pass < PASSES; pass += 1) {
      const { document: said } = read(now);
      if (said && equal(JSON.parse(JSON.stringify(said, exact)), wanted)) return { text: now, isKept: true };
      const edits = new Follower(now).edits(document);
      now = applied(now, edits);
    }
  } catch (error) {
    if (!(error instanceof Anew)) throw error;
  }
  return { text: fresh(document), isKept: false };
}

/** Numbers that only a text can hold, as something that can be compared. */
const exact = (_: string, value: unknown): unknown => {
  const number = rawText(value);
  return number === null ? value : `number ${number}`;
};

function applied(text: string, edits: Edit[]): string {
  let result = text;
  let last = text.length + 1;
  for (const edit of edits.sort((a, b) => b.from - a.from || b.to - a.to)) {
    // Of two that touch the same place, one waits for the next time.
    if (edit.to > last) continue;
    result = result.slice(0, edit.from) + edit.text + result.slice(edit.to);
    last = edit.from;
  }
  return result;
}

type Fields = Record<string, unknown>;
type MapPair = Pair<ParsedNode, ParsedNode | null>;

const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && rawText(value) === null;

/** What is to be changed in a text, so that it says something else. */
class Follower {
  readonly #text: string;
  readonly #tree: Document.Parsed;
  #found: Edit[] = [];

  constructor(text: string) {
    this.#text = text;
    this.#tree = parseDocument(text, OPTIONS);
    if (this.#tree.errors.length > 0 || !isMap(this.#tree.contents)) throw new Anew();
  }

  edits(document: Definition): Edit[] {
    this.#found = [];
    this.#change(this.#tree.contents, document, () => {
      throw new Anew();
    });
    if (this.#found.length === 0) throw new Anew();
    return this.#found;
  }

  #isSame(node: ParsedNode | null, value: unknown): boolean {
    const said = valueOf(node, this.#tree);
    return equal(JSON.parse(JSON.stringify([said], exact)), JSON.parse(JSON.stringify([value], exact)));
  }

  /** Changes a part; `whole` writes it anew in its own place. */
  #change(node: ParsedNode | null, value: unknown, whole: () => void): void {
    if (this.#isSame(node, value)) return;
    // What is named may be meant elsewhere, too.
    if (isAlias(node) || (node as { anchor?: string } | null)?.anchor) throw new Anew();
    if (isMap(node) && isFields(value)) this.#map(node, value, whole);
    else if (isSeq(node) && Array.isArray(value)) this.#seq(node as ParsedNode, value as unknown[], whole);
    else whole();
  }

  #map(map: YAMLMap.Parsed, value: Fields, whole: () => void): void {
    const pairs = map.items as MapPair[];
    const kept = pairs.filter((pair) => value[keyOf(pair)] !== undefined);
    const names = new Set(pairs.map(keyOf));
    const added = Object.entries(value).filter(([name, field]) => field !== undefined && !names.has(name));
    const last = kept.at(-1);
    if (!last) return whole();
    const isFlow = map.flow === true;
    const column = this.#column(pairs[0]?.key.range[0] ?? 0);
    for (const pair of kept) {
      const field = value[keyOf(pair)];
      this.#change(pair.value, field, () => this.#replace(pair, field, isFlow, column));
    }
    const spans = pairs.map((pair): Span => ({
      from: pair.key.range[0],
      to: endOf(pair),
      isKept: kept.includes(pair),
    }));
    if (isFlow) this.#cutFlow(spans);
    else this.#cutLines(spans);
    const texts = added.map(([name, field]) =>
      isFlow ? `, ${pairOf(name, field)}` : indented(`\n${written({ [name]: field })}`, column),
    );
    if (texts.length > 0) this.#insert(isFlow ? endOf(last) : this.#lineEnd(endOf(last)), texts.join(''));
  }

  #seq(seq: ParsedNode, value: unknown[], whole: () => void): void {
    if (!isSeq(seq)) return;
    const items = seq.items;
    const said = items.map((item) => valueOf(item, this.#tree));
    const places = matched(said, value);
    if (!places || places.every((place) => place === null)) return whole();
    const isFlow = seq.flow === true;
    const column = isFlow ? 0 : this.#column(this.#dash(items[0]?.range[0] ?? 0));
    const kept = new Set(places);
    places.forEach((place, index) => {
      const item = place === null ? undefined : items[place];
      if (item) this.#change(item, value[index], () => this.#item(item, value[index], isFlow, column));
    });
    const spans = items.map((item, index): Span => ({
      from: isFlow ? item.range[0] : this.#dash(item.range[0]),
      to: item.range[1],
      isKept: kept.has(index),
    }));
    if (isFlow) this.#cutFlow(spans);
    else this.#cutLines(spans);
    this.#addItems(places, value, spans, isFlow, column);
  }

  /** Puts new items behind the one that is before them, or before the first one that stays. */
  #addItems(
    places: (number | null)[],
    value: unknown[],
    spans: Span[],
    isFlow: boolean,
    column: number,
  ): void {
    const room = ' '.repeat(column);
    let before: Span | null = null;
    let ahead = '';
    for (const [index, place] of places.entries()) {
      const text = place === null ? this.#itemText(value[index], isFlow, column) : '';
      if (place !== null) before = spans[place] ?? null;
      else if (!before) ahead += isFlow ? `${text}, ` : `${room}${text}\n`;
      else if (isFlow) this.#insert(before.to, `, ${text}`);
      else this.#insert(this.#lineEnd(before.to), `\n${room}${text}`);
    }
    const first = spans.find((span) => span.isKept);
    if (ahead === '' || !first) return;
    if (isFlow) this.#insert(first.from, ahead);
    else {
      this.#alone(first.from);
      this.#insert(this.#withComments(first.from), ahead);
    }
  }

  #itemText(value: unknown, isFlow: boolean, column: number): string {
    return isFlow ? flow(value) : indented(written([value]), column);
  }

  /** Writes the value of a pair anew, behind its key. */
  #replace(pair: MapPair, field: unknown, isFlow: boolean, column: number): void {
    const { value } = pair;
    if (isFlow) {
      const at = value?.range ?? [pair.key.range[1], pair.key.range[1]];
      const isNone = !value || at[0] === at[1];
      this.#found.push(
        isNone
          ? { from: pair.key.range[1], to: this.#colonFrom(pair.key.range[1]), text: `: ${flow(field)}` }
          : { from: at[0], to: at[1], text: flow(field) },
      );
      return;
    }
    // A key alone, behind a question mark.
    if (!value) throw new Anew();
    this.#put(pair.key.range[1], endOf(pair), value, indented(written({ k: field }).slice(1), column));
  }

  #item(item: ParsedNode, field: unknown, isFlow: boolean, column: number): void {
    if (isFlow) this.#found.push({ from: item.range[0], to: item.range[1], text: flow(field) });
    else
      this.#put(
        this.#dash(item.range[0]) + 1,
        item.range[1],
        item,
        indented(written([field]).slice(1), column),
      );
  }

  /** Puts a value in place of another one; what stands between, as a comment, is kept where both are on one line. */
  #put(from: number, to: number, before: ParsedNode, text: string): void {
    const start = before.range[0];
    const isLine = start < to && !this.#text.slice(start, to).includes('\n');
    if (isLine && !text.includes('\n')) {
      this.#found.push({ from: start, to, text: text.replace(/^:? /, '') });
      return;
    }
    // A comment behind the key, behind the value, or in what is replaced, would be lost.
    if (/(?:^|\s)#/.test(this.#text.slice(from, start))) throw new Anew();
    if (isLine && /^[^\S\n]+#/.test(this.#text.slice(to))) throw new Anew();
    if (!isScalar(before) && /(?:^|\s)#/.test(this.#text.slice(start, to))) throw new Anew();
    const isBlock = this.#text[to - 1] === '\n';
    this.#found.push({ from, to, text: isBlock ? `${text}\n` : text });
  }

  #cutFlow(spans: Span[]): void {
    spans.forEach((span, index) => {
      if (span.isKept) return;
      const isBehind = spans.slice(0, index).some((other) => other.isKept);
      const [before, next] = [spans[index - 1], spans[index + 1]];
      if (isBehind && before) this.#found.push({ from: before.to, to: span.to, text: '' });
      else if (next) this.#found.push({ from: span.from, to: next.from, text: '' });
    });
  }

  /** Takes out whole lines, with the comment right above them. */
  #cutLines(spans: Span[]): void {
    for (const span of spans) {
      if (span.isKept) continue;
      const from = this.#withComments(span.from);
      this.#alone(span.from);
      const end = this.#lineEnd(span.to);
      this.#found.push({ from, to: Math.min(end + 1, this.#text.length), text: '' });
    }
  }

  /** What shares its line with something else, as the first of a list in a list, can't be moved alone. */
  #alone(at: number): void {
    if (this.#text.slice(this.#lineStart(at), at).trim() !== '') throw new Anew();
  }

  #insert(at: number, text: string): void {
    this.#found.push({ from: at, to: at, text });
  }

  #lineStart(at: number): number {
    return this.#text.lastIndexOf('\n', at - 1) + 1;
  }

  /** The end of the line on which something ends: a comment behind it belongs to it. */
  #lineEnd(at: number): number {
    const from = at > 0 && this.#text[at - 1] === '\n' ? at - 1 : at;
    const end = this.#text.indexOf('\n', from);
    return end < 0 ? this.#text.length : end;
  }

  /** Where the line of something begins, or the comment right above it. */
  #withComments(at: number): number {
    let start = this.#lineStart(at);
    while (start > 0) {
      const above = this.#lineStart(start - 1);
      if (!/^\s*#/.test(this.#text.slice(above, start))) break;
      start = above;
    }
    return start;
  }

  #column(at: number): number {
    return at - this.#lineStart(at);
  }

  #dash(at: number): number {
    return this.#text.lastIndexOf('-', at - 1);
  }

  #colonFrom(at: number): number {
    return /^\s*:/.test(this.#text.slice(at)) ? this.#text.indexOf(':', at) + 1 : at;
  }
}

interface Span {
  from: number;
  to: number;
  isKept: boolean;
}

const endOf = (pair: MapPair): number => Math.max(pair.key.range[1], pair.value?.range[1] ?? 0);

/** A value in lines of its own. */
const written = (value: unknown): string => printed(value).replace(/\n$/, '');

const indented = (text: string, column: number): string =>
  text.replace(/\n(?=[^\n])/g, `\n${' '.repeat(column)}`);

/** A value on one line. */
function flow(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(flow).join(', ')}]`;
  if (isFields(value)) {
    const fields = Object.entries(value).filter(([, field]) => field !== undefined);
    return `{${fields.map(([name, field]) => pairOf(name, field)).join(', ')}}`;
  }
  if (typeof value === 'string' && wholeOf(value) !== null) return JSON.stringify(value);
  // As an item of a list on one line the library quotes what needs it.
  const text = stringify([plain(value)], { lineWidth: 0, collectionStyle: 'flow', ...FLAT }).trim();
  return text.slice(1, -1).trim();
}

const pairOf = (name: string, field: unknown): string => `${flow(name)}: ${flow(field)}`;

/** For each wanted item the place of the one that it was; null for a new one. Nothing where their order is another one. */
function matched(said: unknown[], wanted: unknown[]): (number | null)[] | null {
  const [before, after] = [said.map(nameOf), wanted.map(nameOf)];
  const isNamed = [...before, ...after].every((name) => name !== null);
  const changed = before.filter((name) => !after.includes(name)).length;
  // Without names, and where one of them was renamed, the place says which is which.
  if (!isNamed || (before.length === after.length && changed > 0)) {
    return wanted.map((_, index) => (index < said.length ? index : null));
  }
  const places = after.map((name) => {
    const place = before.indexOf(name);
    return place < 0 ? null : place;
  });
  const kept = places.filter((place) => place !== null);
  return kept.every((place, index) => index === 0 || place > (kept[index - 1] ?? 0)) ? places : null;
}

/** What tells one item of a list from another: the id of a node, the ends of an edge. */
function nameOf(item: unknown): string | null {
  if (!isFields(item)) return null;
  if (typeof item.id === 'string') return item.id;
  if (typeof item.source !== 'string' || typeof item.target !== 'string') return null;
  const branch = isFields(item.config) && typeof item.config.branch === 'string' ? item.config.branch : '';
  return `${item.source} ${branch} ${item.target}`;
}
