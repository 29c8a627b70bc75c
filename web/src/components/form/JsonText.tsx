import { Textarea } from '@mantine/core';
import { useState } from 'react';
import { parse, write } from '../../model/lossless';

interface Props {
  id?: string;
  label: string;
  description?: string;
  placeholder?: string;
  value: unknown;
  disabled?: boolean;
  onSettle: (value: unknown) => void;
}

/** Any JSON, as text. What can't be read is kept as it is typed, and nothing is taken until it can. */
export function JsonText({ id, label, description, placeholder, value, disabled, onSettle }: Props) {
  const [typed, setTyped] = useState<string | null>(null);
  const [wrong, setWrong] = useState<string | null>(null);
  const text = typed ?? (value === undefined || value === null ? '' : write(value, 2));
  const settle = () => {
    if (typed === null) return;
    try {
      onSettle(typed.trim() === '' ? undefined : parse(typed));
      setTyped(null);
      setWrong(null);
    } catch (error) {
      setWrong(error instanceof Error ? error.message : 'this is no JSON');
    }
  };
  return (
    <Textarea
      classNames={{ input: 'grows' }}
      id={id}
      label={label || undefined}
      description={description}
      placeholder={disabled ? 'none' : placeholder}
      className="code-text"
      spellCheck={false}
      disabled={disabled}
      error={wrong}
      value={text}
      onChange={(event) => setTyped(event.currentTarget.value)}
      onBlur={settle}
    />
  );
}
