import { fireEvent, render, screen } from '@testing-library/react';
import { describe, expect, it } from 'vitest';
import { WorkflowBuilder } from './Builder';

describe('WorkflowBuilder', () => {
  it('should add new node', () => {
    render(<WorkflowBuilder />);
    const addButton = screen.getByText('Add Node');
    fireEvent.click(addButton);
    expect(screen.getByTestId('node-1')).toBeInTheDocument();
  });

  it('connects what is added to what is selected, and says it in the outline', () => {
    render(<WorkflowBuilder />);
    fireEvent.click(screen.getByText('Add Node'));
    fireEvent.click(screen.getByText('Add Node'));
    expect(screen.getByTestId('node-2')).toBeInTheDocument();
    expect(screen.getByLabelText('Edge from node-1 to node-2')).toBeInTheDocument();
  });

  it('undoes the adding with the choice of the kind', () => {
    render(<WorkflowBuilder />);
    fireEvent.click(screen.getByText('Add Node'));
    fireEvent.click(screen.getByRole('option', { name: /Condition/ }));
    expect(screen.getByTestId('node-1').dataset.family).toBe('flow');
    fireEvent.click(screen.getByLabelText('Undo'));
    expect(screen.queryByTestId('node-1')).toBeNull();
  });
});
