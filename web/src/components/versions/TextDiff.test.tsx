import { MantineProvider } from '@mantine/core';
import { fireEvent, render, screen } from '@testing-library/react';
import { describe, expect, it } from 'vitest';
import { TextDiff } from './TextDiff';

const lines = (last: string) =>
  [...Array.from({ length: 12 }, (_, index) => `line ${index + 1}`), last].join('\n');

describe('two texts', () => {
  it('say which lines went and which came, and fold the others', () => {
    render(<TextDiff before={lines('old')} after={lines('new')} />, { wrapper: MantineProvider });
    expect(screen.getByRole('row', { name: /added: ?new/ })).toHaveAttribute('data-kind', 'added');
    expect(screen.getByRole('row', { name: /removed: ?old/ })).toHaveAttribute('data-kind', 'removed');
    expect(screen.queryByText('line 1')).toBeNull();
    fireEvent.click(screen.getByRole('button', { name: 'show 9 lines that are the same' }));
    expect(screen.getByText('line 1')).toBeInTheDocument();
  });

  it('that are the same say so', () => {
    render(<TextDiff before="a" after="a" />, { wrapper: MantineProvider });
    expect(screen.getByText('The two texts are the same.')).toBeInTheDocument();
  });
});
