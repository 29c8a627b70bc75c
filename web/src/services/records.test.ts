// @vitest-environment node
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Records } from './records';

const STREAM =
  'id: 1\nevent: run.created\ndata: {"a":1}\n\n: keep-alive\n\nevent: agent.said\r\ndata: one\r\ndata: two\r\n\r\n';

describe('records of a stream', () => {
  it('are the same wherever the stream is cut', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(STREAM.length - 2)), (cuts) => {
        const records = new Records();
        const at = [...new Set([0, ...cuts, STREAM.length])].sort((a, b) => a - b);
        const read = at.flatMap((from, index) =>
          records.read(STREAM.slice(from, at[index + 1] ?? STREAM.length)),
        );
        expect(read).toEqual([
          { event: 'run.created', data: '{"a":1}' },
          { event: 'agent.said', data: 'one\ntwo' },
        ]);
      }),
    );
  });
});
