import type { ArrayFieldTemplateProps } from '@rjsf/utils';
import { Button } from '@mantine/core';

/** A list: its items, and a way to add one. */
export function ArrayTemplate({ items, canAdd, onAddClick, title, disabled }: ArrayFieldTemplateProps) {
  return (
    <div className="form-list" role="group" aria-label={title}>
      {items}
      {canAdd && (
        <Button size="compact-sm" variant="default" disabled={disabled} onClick={onAddClick}>
          Add an item
        </Button>
      )}
    </div>
  );
}
