import { describe, expect, it } from 'vitest';
import { matching, type Command } from './commands';

const command = (label: string, group = 'Drawing', also?: string): Command => ({
  id: label,
  label,
  group,
  also,
  run: () => undefined,
});

const all = [
  command('Redo'),
  command('Add a node', 'Drawing', 'insert'),
  command('Publish'),
  command('Go to add-up', 'Nodes'),
  command('Runs', 'Pages'),
];
const labels = (search: string) => matching(all, search).map(({ label }) => label);

describe('commands', () => {
  it('are found by all words, the name first', () => {
    expect(labels('')).toEqual(['Redo', 'Add a node', 'Publish', 'Go to add-up', 'Runs']);
    expect(labels('ADD')).toEqual(['Add a node', 'Go to add-up']);
    expect(labels('nodes add')).toEqual(['Go to add-up']);
    expect(labels('insert')).toEqual(['Add a node']);
    expect(labels('do')).toEqual(['Redo']);
    expect(labels('page')).toEqual(['Runs']);
    expect(labels('nothing such')).toEqual([]);
  });

  it('are not all shown', () => {
    expect(
      matching(
        Array.from({ length: 90 }, (_, index) => command(`c${index}`)),
        'c',
      ),
    ).toHaveLength(40);
  });
});
