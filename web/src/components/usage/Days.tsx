import { Group, SegmentedControl, Table, Title } from '@mantine/core';
import { useState } from 'react';
import { roundUp, short, tokensOf, type Day } from '../../model/usage';

const WIDTH = 960;
const HEIGHT = 200;
const LEFT = 48;
const RIGHT = 12;
const BOTTOM = 24;
const TOP = 12;

/** Tokens by day, as bars or as a table that says the same. */
export function Days({ days }: { days: Day[] }) {
  const [view, setView] = useState('bars');
  return (
    <section aria-label="Tokens by day">
      <Group justify="space-between" mb="xs">
        <Title order={2}>Tokens by day</Title>
        <SegmentedControl
          size="xs"
          aria-label="How days are shown"
          data={[
            { value: 'bars', label: 'Bars' },
            { value: 'table', label: 'Table' },
          ]}
          value={view}
          onChange={setView}
        />
      </Group>
      {view === 'bars' ? <Bars days={days} /> : <Rows days={days} />}
    </section>
  );
}

function Bars({ days }: { days: Day[] }) {
  const most = Math.max(...days.map(tokensOf));
  const top = roundUp(most);
  const step = (WIDTH - LEFT - RIGHT) / days.length;
  const tall = (tokens: number) => ((HEIGHT - BOTTOM - TOP) * tokens) / top;
  const peak = days.find((day) => tokensOf(day) === most);
  // As many dates as there is room for.
  const every = Math.ceil(days.length / 10);
  return (
    <figure className="bars">
      <svg
        viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
        role="img"
        aria-label={`Tokens of ${days.length} days; the most on ${peak?.day ?? ''}: ${most}. The table says the same.`}
      >
        {[0, 0.5, 1].map((part) => {
          const y = HEIGHT - BOTTOM - tall(top * part);
          return (
            <g key={part}>
              <line className="bars-line" x1={LEFT} x2={WIDTH - RIGHT} y1={y} y2={y} />
              <text className="bars-word" x={LEFT - 8} y={y + 4} textAnchor="end">
                {short(Math.round(top * part))}
              </text>
            </g>
          );
        })}
        {days.map((day, index) => {
          const x = LEFT + index * step + step * 0.15;
          const [asked, said] = [tall(day.prompt_tokens), tall(day.completion_tokens)];
          const foot = HEIGHT - BOTTOM;
          const width = Math.min(step * 0.7, 48);
          return (
            <g key={day.day}>
              <title>{`${day.day}: ${day.prompt_tokens} of questions, ${day.completion_tokens} of answers, ${day.calls} calls`}</title>
              <rect className="bars-asked" x={x} y={foot - asked} width={width} height={asked} />
              <rect className="bars-said" x={x} y={foot - asked - said} width={width} height={said} />
              {(days.length - 1 - index) % every === 0 && (
                <text className="bars-word" x={x + width / 2} y={HEIGHT - 6} textAnchor="middle">
                  {day.day.slice(5)}
                </text>
              )}
            </g>
          );
        })}
      </svg>
      <figcaption className="facts">
        <span>
          <span className="bars-key bars-asked" aria-hidden /> of questions
        </span>
        <span>
          <span className="bars-key bars-said" aria-hidden /> of answers
        </span>
      </figcaption>
    </figure>
  );
}

function Rows({ days }: { days: Day[] }) {
  return (
    <Table className="table" fz="sm">
      <Table.Thead>
        <Table.Tr>
          <Table.Th>Day</Table.Th>
          <Table.Th ta="right">Tokens of questions</Table.Th>
          <Table.Th ta="right">of answers</Table.Th>
          <Table.Th ta="right">Calls</Table.Th>
        </Table.Tr>
      </Table.Thead>
      <Table.Tbody>
        {days.toReversed().map((day) => (
          <Table.Tr key={day.day}>
            <Table.Td>{day.day}</Table.Td>
            <Table.Td ta="right">{day.prompt_tokens.toLocaleString()}</Table.Td>
            <Table.Td ta="right">{day.completion_tokens.toLocaleString()}</Table.Td>
            <Table.Td ta="right">{day.calls.toLocaleString()}</Table.Td>
          </Table.Tr>
        ))}
      </Table.Tbody>
    </Table>
  );
}
