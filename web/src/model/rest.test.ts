// @vitest-environment node
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { definition } from './arbitrary.test-data';
import { diff, equal, told } from './diff';
import { formOf, trimmed } from './forms';
import { noted, nothing, redone, undone } from './history';
import { holds, KINDS, kindOf, outputsOf, sentence, waits } from './kinds';
import { parse, write } from './lossless';
import { namesFor, stepPath } from './scope';

describe('undo', () => {
  it('goes back and forth, and forgets what was undone at the next change', () => {
    let history = noted(nothing<number>(), 1);
    history = noted(history, 2);
    const back = undone(history, 3);
    expect(back?.now).toBe(2);
    expect(back && redone(back.history, back.now)?.now).toBe(3);
    expect(back && redone(noted(back.history, 9), 9)).toBeNull();
    expect(undone(nothing<number>(), 1)).toBeNull();
    expect(
      Array.from({ length: 500 }).reduce<ReturnType<typeof nothing<number>>>((h) => noted(h, 1), nothing())
        .past,
    ).toHaveLength(200);
  });
});

describe('JSON', () => {
  it('goes in and out without a changed number', () => {
    const text = '{"a":12345678901234567890,"b":[-9007199254740993,1.5,-0],"c":1e400}';
    expect(write(parse('{"a":12345678901234567890,"b":[-9007199254740993,1.5]}'))).toBe(
      '{"a":12345678901234567890,"b":[-9007199254740993,1.5]}',
    );
    expect(() => parse(text)).not.toThrow();
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const text = JSON.stringify(value);
        expect(write(parse(text))).toBe(text);
      }),
    );
  });
});

describe('differences', () => {
  it('are none between a document and itself, whatever it is', () => {
    fc.assert(
      fc.property(definition, (document) => {
        const copy = JSON.parse(JSON.stringify(document)) as typeof document;
        expect(told(diff(document, copy))).toEqual([]);
      }),
    );
  });

  it('name nodes, edges and fields', () => {
    const before = {
      name: 'a',
      nodes: [
        { id: 'x', type: 'wait', config: { for: '1s' } },
        { id: 'gone', type: 'wait', config: {} },
        { id: 'l', type: 'loop', config: { body: { nodes: [{ id: 'in', type: 'wait' }] } } },
      ],
      edges: [{ source: 'x', target: 'gone' }],
    };
    const after = {
      name: 'b',
      nodes: [
        { id: 'x', type: 'wait', config: { for: '2s' } },
        { id: 'new', type: 'wait', config: {} },
        { id: 'l', type: 'loop', config: { body: { nodes: [{ id: 'in', type: 'signal' }] } } },
      ],
      edges: [{ source: 'x', target: 'new', config: { branch: 'error' } }],
    };
    expect(told(diff(before, after))).toEqual([
      'node new added',
      'node gone removed',
      'node x changed (config)',
      'node in changed (type)',
      'edge x → new (error) added',
      'edge x → gone removed',
      'workflow: name changed',
    ]);
    expect([equal([1], { 0: 1 }), equal({ a: 1 }, { b: 1 }), equal(null, {})]).toEqual([false, false, false]);
  });
});

describe('kinds', () => {
  it('each say what a node does, also one that is empty', () => {
    for (const kind of KINDS) {
      expect(sentence({ id: 'n', type: kind.name, config: kind.fresh() })).not.toBe('');
      expect(sentence({ id: 'n', type: kind.name })).not.toBe('');
    }
    expect(sentence({ id: 'n', type: 'wait', config: { until: 'noon' } })).toBe('until noon');
    expect(sentence({ id: 'n', type: 'transform', config: { rules: [1] } })).toBe('1 rule');
    expect(sentence({ id: 'n', type: 'new_kind' })).toBe('new_kind');
    expect(kindOf('new_kind').fresh()).toEqual({});
  });

  it('know their ways out and what they wait for', () => {
    expect(outputsOf({ id: 'n', type: 'approval', on_error: 'branch' })).toEqual([
      'approved',
      'rejected',
      'error',
    ]);
    expect(outputsOf({ id: 'n', type: 'agent' })).toEqual(['']);
    expect(waits({ id: 'n', type: 'agent', config: { worker: 'external' } })).toBe(true);
    expect(waits({ id: 'n', type: 'agent' })).toBe(false);
    expect(holds({ id: 'n', type: 'loop', config: { body: { nodes: [{ id: 'a', type: 'wait' }] } } })).toBe(
      '1 node',
    );
    expect(holds({ id: 'n', type: 'agent' })).toBe('0 nodes');
  });
});

describe('forms', () => {
  const config = {
    type: 'object',
    required: ['agent', 'body'],
    properties: {
      agent: { type: 'string' },
      body: { $ref: '#/$defs/Body' },
      timeout: { anyOf: [{ $ref: '#/$defs/Duration' }, { type: 'null' }] },
      size: { type: ['integer', 'null'], minimum: 1 },
      mode: { $ref: '#/$defs/Mode', default: 'a' },
      any: { description: 'any JSON' },
    },
    $defs: {
      Duration: { type: 'string', description: 'a duration' },
      Mode: {
        oneOf: [
          { type: 'string', const: 'a' },
          { type: 'string', const: 'b' },
        ],
      },
      Body: { type: 'object' },
    },
  };

  it('leave out bodies and nulls, and make lists of choices', () => {
    const { schema, widgets } = formOf('new_kind', config);
    expect(schema.required).toEqual(['agent']);
    const properties = schema.properties as Record<string, Record<string, unknown>>;
    expect(Object.keys(properties)).toEqual(['agent', 'timeout', 'size', 'mode', 'any']);
    expect(properties.size).toMatchObject({ type: 'integer', minimum: 1 });
    expect(properties.timeout).toMatchObject({ type: 'string' });
    expect(properties.mode).toMatchObject({ enum: ['a', 'b'], default: 'a' });
    expect(widgets).toEqual({ any: 'json' });
    expect(formOf('agent', config).widgets.agent).toBe('agent');
    expect(formOf('agent', undefined).schema.properties).toEqual({});
    expect(trimmed({ a: 1, b: undefined })).toEqual({ a: 1 });
  });
});

describe('names', () => {
  const document = {
    name: 'x',
    input: { properties: { topic: { description: 'what about' }, 'odd-name': {} } },
    nodes: [
      { id: 'a', type: 'agent' },
      {
        id: 'each',
        type: 'for_each',
        config: {
          body: {
            nodes: [
              { id: 'in', type: 'agent' },
              { id: 'to', type: 'agent' },
            ],
            edges: [{ source: 'in', target: 'to' }],
          },
        },
      },
      { id: 'l', type: 'loop', config: { body: { nodes: [{ id: 'deep', type: 'agent' }] } } },
    ],
    edges: [{ source: 'a', target: 'each' }],
  };
  const paths = (id: string | null) => namesFor(document, id).map((name) => name.path);

  it('are those of the input, of the steps before, and of the bodies around', () => {
    expect(paths('a')).toEqual(['input.topic', 'input["odd-name"]', 'input', 'run.id', 'now']);
    expect(paths('to')).toEqual(
      expect.arrayContaining(['steps.in.output', 'item', 'index', 'steps.a.output']),
    );
    expect(paths('deep')).toEqual(expect.arrayContaining(['last', 'index']));
    expect(paths(null)).toContain('steps.each.output');
    expect(stepPath('node-1')).toBe('steps["node-1"]');
  });
});
