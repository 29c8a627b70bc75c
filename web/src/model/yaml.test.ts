import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { definition } from './arbitrary.test-data';
import { editNode, idsOf, type Definition } from './document';
import * as edits from './edits';
import { parse, raw, rawText, write } from './lossless';
import { follow, fresh, placesOf, read } from './yaml';

const TEXT = `# what it is for
name: crew # its name
nodes:
  # looks things up
  - id: research
    type: agent
    config: {agent: research, prompt: "{{ input.topic }}"} # short
  # thinks
  - id: think
    type: agent
    config:
      agent: analysis
      prompt: |
        Think about
        {{ steps.research.output }}
      # nothing yet
      tools:
edges:
  - {source: research, target: think}
settings: {parallel: 2}
`;

const said = (text: string): Definition => {
  const { document, mistakes } = read(text);
  expect(mistakes).toEqual([]);
  return document ?? { name: '' };
};
const comments = (text: string) => text.match(/#.*/g) ?? [];

describe('a definition as YAML', () => {
  it('is read as it is written, and says where it can’t be read', () => {
    const document = said(TEXT);
    expect(document.nodes?.[1]?.config?.prompt).toBe('Think about\n{{ steps.research.output }}\n');
    expect(document.nodes?.[1]?.config?.tools).toBeNull();
    const { document: none, mistakes } = read('name: x\nnodes: [\n  a: b: c\n');
    expect(none).toBeNull();
    expect(mistakes[0]).toMatchObject({ line: 3 });
    expect(mistakes[0]?.message).not.toMatch(/at line/);
    expect(read('- a').mistakes[0]?.message).toBe('This is no definition.');
    expect(read('1: a\n? [b]\n: c').document).toMatchObject({ '1': 'a' });
  });

  it('keeps numbers that a browser can’t hold, in and out', () => {
    const text = 'name: n\nmetadata: {n: 12345678901234567890, m: 7}\n';
    const document = said(text);
    expect(write(document)).toBe('{"name":"n","metadata":{"n":12345678901234567890,"m":7}}');
    expect(fresh(document)).toContain('12345678901234567890');
    const other = parse('{"name":"n","metadata":{"n":12345678901234567891,"m":7}}') as Definition;
    expect(follow(text, other)).toEqual({ text: text.replace('890,', '891,'), isKept: true });
    expect(rawText(raw('1e999') as object)).toBe('1e999');
    expect(fresh({ name: 'n', x: raw('1e999') })).toContain('.inf');
    expect(rawText({ rawJSON: '1' })).toBeNull();
  });

  it('is read as the server reads it, and written so that it does', () => {
    // Tried on the server: the first are numbers there, the others words.
    const numbers = {
      '1_000': 1000,
      '-1_0': -10,
      '+1_0': 10,
      '0b1_1': 3,
      '-0b11': -3,
      '0X1F': 31,
      '-0x1F': -31,
      '0o1_7': 15,
    };
    for (const [text, value] of Object.entries(numbers)) {
      expect(said(`name: x\nn: ${text}\n`).n).toBe(value);
      expect(said(`name: x\nn: "${text}"\n`).n).toBe(text);
      expect(fresh({ name: 'x', n: text })).toBe(`name: x\nn: "${text}"\n`);
      expect(follow('name: x\nn: {a: 1}\n', { name: 'x', n: { a: text } }).text).toContain(`{a: "${text}"}`);
    }
    for (const text of [
      '_1',
      '1_',
      '1__0',
      '1_000.5',
      '0_1',
      '0b',
      '1e1_0',
      '1_000_000_000_000_000_000_000',
    ]) {
      expect(said(`name: x\nn: ${text}\n`).n).toBe(text);
      expect(fresh({ name: 'x', n: text })).toBe(`name: x\nn: ${text}\n`);
    }
  });

  it('is another text for each document, which says the same', () => {
    fc.assert(
      fc.property(definition, (document) => {
        expect(JSON.parse(write(read(fresh(document)).document))).toEqual(JSON.parse(write(document)));
      }),
      { numRuns: 60 },
    );
  });
});

describe('a text', () => {
  it('changes one value where it stands', () => {
    const document = editNode(said(TEXT), 'research', (node) => ({
      ...node,
      config: { agent: 'other', prompt: '{{ input.topic }}' },
    }));
    expect(follow(TEXT, document)).toEqual({
      text: TEXT.replace('{agent: research,', '{agent: other,'),
      isKept: true,
    });
    expect(follow(TEXT, said(TEXT))).toEqual({ text: TEXT, isKept: true });
  });

  it('takes words of many lines, and gives them up again', () => {
    const set = (prompt: unknown) =>
      follow(
        TEXT,
        editNode(said(TEXT), 'think', (node) => ({ ...node, config: { ...node.config, prompt } })),
      );
    const longer = set('One\n\nTwo\n');
    expect(longer.text).toContain('      prompt: |\n        One\n\n        Two\n      # nothing yet');
    expect(set('short').text).toContain('      prompt: short\n      # nothing yet');
    expect(set(['a', { b: 1 }]).text).toContain(
      '      prompt:\n        - a\n        - b: 1\n      # nothing',
    );
    for (const { isKept } of [longer, set('short'), set(['a'])]) expect(isKept).toBe(true);
    const named = follow(TEXT, { ...said(TEXT), name: 'two\nlines' });
    // The comment behind the name would be lost.
    expect(named.isKept).toBe(false);
  });

  it('gets a node, its edge and its place, and loses them with the comment above', () => {
    const added = edits.addNode(said(TEXT), { type: 'wait', after: 'think' });
    const more = follow(TEXT, added.document);
    expect(more.isKept).toBe(true);
    expect(comments(more.text)).toEqual(comments(TEXT));
    expect(more.text).toContain(`      tools:
  - id: node-1
    type: wait
    config:
      for: 10s
`);
    expect(more.text).toContain(
      '  - {source: research, target: think}\n  - {source: think, target: node-1}\n',
    );
    const less = follow(more.text, edits.removeNodes(added.document, ['research']));
    expect(less.isKept).toBe(true);
    expect(comments(less.text)).toEqual(['# what it is for', '# its name', '# thinks', '# nothing yet']);
  });

  it('gets a node before all others, and between two', () => {
    const before = said(TEXT);
    const [first, second] = before.nodes ?? [];
    if (!first || !second) throw new Error('two nodes');
    const wait = (id: string) => ({ id, type: 'wait' });
    const after = { ...before, nodes: [wait('a'), wait('b'), first, wait('c'), second] };
    const { text, isKept } = follow(TEXT, after);
    expect(isKept).toBe(true);
    expect(text).toContain(
      'nodes:\n  - id: a\n    type: wait\n  - id: b\n    type: wait\n  # looks things up',
    );
    expect(comments(text)).toEqual(comments(TEXT));
  });

  it('renames a node where it stands', () => {
    const renamed = JSON.parse(write(said(TEXT)).replaceAll('research', 'search')) as Definition;
    const { text, isKept } = follow(TEXT, renamed);
    expect(isKept).toBe(true);
    expect(text).toContain('  # looks things up\n  - id: search\n');
    expect(text).toContain('{source: search, target: think}');
  });

  it('changes lists and objects that are written on one line', () => {
    const text = 'name: x # n\ntags: [a, b, "c, d"]\nmetadata: {k: 1, l:  , m: 3}\nempty: {}\nnone:\n';
    const to = (fields: object) => follow(text, { ...said(text), ...fields }).text;
    expect(to({ tags: ['a', 'b', 'c, d', 'e: f'] })).toContain('[a, b, "c, d", "e: f"]');
    expect(to({ tags: ['a'] })).toContain('tags: [a]\n');
    expect(to({ tags: [] })).toContain('tags: []\n');
    expect(to({ tags: ['z', true, { a: [1] }] })).toContain('[z, true, {a: [1]}]');
    expect(to({ metadata: { l: 2, m: 3 } })).toContain('{l: 2  , m: 3}');
    expect(to({ metadata: { k: 1, l: null, m: 3, n: [] } })).toContain('{k: 1, l:  , m: 3, n: []}');
    expect(to({ metadata: { k: 1 } })).toContain('{k: 1}');
    expect(to({ metadata: { q: 1 } })).toContain('metadata:\n  q: 1\n');
    expect(to({ empty: { a: 1 } })).toContain('empty:\n  a: 1\n');
    expect(to({ none: 'now' })).toContain('none: now\n');
    const named = 'name: x\nedges: [{source: a, target: b}, {source: b, target: c}] # e\n';
    const [first, second] = said(named).edges ?? [];
    const ahead = { source: 'q', target: 'a', config: { branch: 'true' } };
    expect(follow(named, { name: 'x', edges: [ahead, first ?? ahead, second ?? ahead] }).text).toContain(
      '[{source: q, target: a, config: {branch: "true"}}, {source: a, target: b}, {source: b, target: c}] # e',
    );
    expect(follow(named, { name: 'x', edges: second ? [second] : [] }).text).toContain(
      'edges: [{source: b, target: c}] # e',
    );
  });

  it('is written anew where that can’t be done in place, and says so', () => {
    const anchored = 'name: x\nnodes:\n  - &a {id: a, type: wait}\nmetadata: {b: *a}\n';
    const cases: [string, Definition][] = [
      [anchored, { ...said(anchored), nodes: [{ id: 'a', type: 'signal' }] }],
      [anchored, { ...said(anchored), nodes: [] }],
      [anchored, { ...said(anchored), metadata: { b: 1 } }],
      ['broken: [', { name: 'x' }],
      ['name: x\n', { label: 'no field is kept', name: undefined } as unknown as Definition],
      ['name: x\nsettings:\n  # one at a time\n  parallel: 1\n', { name: 'x', settings: { other: 1 } }],
      ['name: x\nsettings: # here\n  - 1\n', { name: 'x', settings: { other: 1 } }],
      ['name: x\nl:\n  - - a\n    - {id: b}\n', { name: 'x', l: [['b']] }],
      ['name: x\n? key\n', { name: 'x', key: 1 }],
      ['name: x\nm: {key}\n', { name: 'x', m: { key: 1 } }],
      ['name: x\nl:\n  - id: b\n    t: 1\n', { name: 'x', l: [{ t: 1 }] }],
    ];
    for (const [text, document] of cases) {
      const followed = follow(text, document);
      expect(JSON.parse(write(read(followed.text).document))).toEqual({
        name: '',
        ...(JSON.parse(write(document)) as object),
      });
    }
    expect(follow(anchored, { ...said(anchored), nodes: [] }).isKept).toBe(false);
    expect(follow('broken: [', { name: 'x' })).toEqual({ text: 'name: x\n', isKept: false });
    const swapped = { ...said(TEXT), nodes: [...(said(TEXT).nodes ?? [])].reverse() };
    expect(said(follow(TEXT, swapped).text)).toEqual(swapped);
  });

  it('says after any edit what the document says', () => {
    fc.assert(
      fc.property(definition, fc.nat(), definition, (document, choice, other) => {
        const text = fresh(document);
        const ids = [...idsOf(document)];
        const id = ids[choice % Math.max(1, ids.length)] ?? '';
        const after = [
          edits.removeNodes(document, [id]),
          edits.addNode(document, { after: id || null }).document,
          edits.setNode(document, id, { name: 'one\ntwo' }),
          edits.tidy(document),
          edits.paste(document, edits.copyOf(document, [id])).document,
          other,
        ][choice % 6];
        if (!after) return;
        const followed = follow(text, after);
        expect(JSON.parse(write(read(followed.text).document))).toEqual(JSON.parse(write(after)));
      }),
      { numRuns: 150 },
    );
  });
});

describe('a problem', () => {
  it('is found in the text by its path, as near as can be', () => {
    const at = (path: string) => {
      const place = placesOf(TEXT, [path])[0];
      return [place?.line, TEXT.slice(place?.from, place?.to)];
    };
    expect(at('nodes[0].config.prompt')).toEqual([7, 'prompt: "{{ input.topic }}"']);
    expect(at('nodes[1].config.prompt')).toEqual([13, 'prompt: |']);
    expect(at('nodes[1].config.tools')).toEqual([17, 'tools:']);
    expect(at('nodes[1].config.missing')).toEqual([11, 'config']);
    expect(at('edges[0].target')).toEqual([19, 'target: think']);
    expect(at('nodes[7]')).toEqual([3, 'nodes']);
    expect(at('')).toEqual([1, '']);
  });
});
