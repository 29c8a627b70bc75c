import { useMemo, useState } from 'react';
import { folded, lineDiff, type Line } from '../../model/lines';

const SIGNS = { same: '', added: '+', removed: '−' } as const;
const WORDS = { same: '', added: 'added: ', removed: 'removed: ' } as const;

/** Two texts as one: lines that went, lines that came, and a few around them. */
export function TextDiff({ before, after }: { before: string; after: string }) {
  const parts = useMemo(() => folded(lineDiff(before, after)), [before, after]);
  const [opened, setOpened] = useState<ReadonlySet<number>>(new Set());
  if (parts.every((part) => part.kind === 'same' || part.kind === 'fold')) {
    return <p className="text-same">The two texts are the same.</p>;
  }
  return (
    // eslint-disable-next-line jsx-a11y-x/no-noninteractive-tabindex -- it scrolls, and the keyboard has to reach it
    <div className="text-diff" role="region" aria-label="Difference of the YAML" tabIndex={0}>
      <table>
        <thead className="visually-hidden">
          <tr>
            <th>Line before</th>
            <th>Line after</th>
            <th>Text</th>
          </tr>
        </thead>
        <tbody>
          {parts.map((part, index) => {
            if (part.kind !== 'fold') return <Row key={index} line={part} />;
            if (opened.has(index))
              return part.lines.map((line, at) => <Row key={`${index} ${at}`} line={line} />);
            return (
              <tr key={index} className="text-fold">
                <td colSpan={3}>
                  <button type="button" onClick={() => setOpened(new Set([...opened, index]))}>
                    show {part.lines.length} lines that are the same
                  </button>
                </td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}

function Row({ line }: { line: Line }) {
  return (
    <tr data-kind={line.kind}>
      <td className="text-number">{line.old}</td>
      <td className="text-number">{line.now}</td>
      <td className="text-line">
        <span className="text-sign" aria-hidden>
          {SIGNS[line.kind]}
        </span>
        <span className="visually-hidden">{WORDS[line.kind]}</span>
        {line.text}
      </td>
    </tr>
  );
}
