import { MantineProvider } from '@mantine/core';
import { fireEvent, render, screen } from '@testing-library/react';
import { Provider } from 'react-redux';
import { describe, expect, it, vi } from 'vitest';
import { makeStore } from '../../services/store';
import { NotSaved } from './NotSaved';
import { SaveState } from './SaveState';
import type { Save } from './save';

const save = (fields: Partial<Save>): Save => ({
  phase: 'saved',
  at: Date.now(),
  etag: 'd1',
  why: null,
  version: 0,
  isDraft: true,
  isStuck: false,
  save: () => Promise.resolve(true),
  stands: () => undefined,
  ...fields,
});

function show(what: Save, onConflict: () => void = () => undefined) {
  return render(
    <MantineProvider>
      <Provider store={makeStore()}>
        <SaveState save={what} />
        <NotSaved save={what} onConflict={onConflict} />
      </Provider>
    </MantineProvider>,
  );
}

describe('what is edited', () => {
  it('says whether it is saved, and against what', () => {
    const { unmount } = show(save({}));
    expect(screen.getByText(/saved just now · never published/)).toBeInTheDocument();
    expect(screen.queryByRole('alert')).toBeNull();
    unmount();
    show(save({ version: 3 }));
    expect(screen.getByText(/differs from version 3/)).toBeInTheDocument();
    show(save({ version: 3, isDraft: false }));
    expect(screen.getByText('version 3, published')).toBeInTheDocument();
    show(save({ phase: 'saving' }));
    expect(screen.getByText('saving…')).toBeInTheDocument();
  });

  it('says why it is not saved, and is saved when it is asked for', () => {
    const again = vi.fn(() => Promise.resolve(true));
    show(save({ phase: 'failed', why: 'The server can’t be reached', save: again }));
    expect(screen.getByRole('alert')).toHaveTextContent('Not saved: The server can’t be reached');
    fireEvent.click(screen.getByRole('button', { name: 'Try again' }));
    expect(again).toHaveBeenCalledOnce();
  });

  it('leads to both drafts where somebody else has saved', () => {
    const decide = vi.fn();
    show(save({ phase: 'conflict' }), decide);
    fireEvent.click(screen.getByRole('button', { name: 'See both and decide' }));
    expect(decide).toHaveBeenCalledOnce();
  });

  it('asks before comments are lost', () => {
    show(save({ phase: 'failed', isStuck: true }));
    expect(screen.getByText(/its comments and its formatting are lost/)).toBeInTheDocument();
    expect(screen.getByRole('button', { name: 'Undo the edit' })).toBeInTheDocument();
  });
});
