import { afterEach, describe, expect, it, vi } from 'vitest';
import { fresh, follow, placesOf, read } from './yaml';

const NODES = Array.from({ length: 300 }, (_, n) => ({
  id: `n${n}`,
  type: 'agent',
  config: { agent: 'research', prompt: `Say ${n}` },
}));
const LARGE = { name: 'large', metadata: { n: 12 }, nodes: NODES };

/** A worker that does what the real one does, and counts. */
class FakeWorker {
  static asked: string[] = [];
  static fails = false;
  onmessage: ((event: MessageEvent) => void) | null = null;
  onerror: (() => void) | null = null;
  postMessage({ id, ask }: { id: number; ask: { do: string; text?: string; json?: string } }) {
    FakeWorker.asked.push(ask.do);
    if (FakeWorker.fails) return this.onerror?.();
    const answer =
      ask.do === 'read' ? { json: '{"name":"told"}', mistakes: [] } : { text: 'told', isKept: true };
    this.onmessage?.({ data: { id, answer } } as MessageEvent);
  }
}

afterEach(() => {
  vi.unstubAllGlobals();
  FakeWorker.asked = [];
  FakeWorker.fails = false;
});

describe('YAML', () => {
  it('is the worker’s where it is long, and else read here', async () => {
    const text = await fresh(LARGE);
    expect(text.length).toBeGreaterThan(15_000);
    vi.stubGlobal('Worker', FakeWorker);
    expect((await read('name: x')).document).toEqual({ name: 'x' });
    expect(await placesOf(text, [])).toEqual([]);
    expect(FakeWorker.asked).toEqual([]);
    expect((await read(text)).document).toEqual({ name: 'told' });
    expect(await follow(text, LARGE)).toEqual({ text: 'told', isKept: true });
    expect(FakeWorker.asked).toEqual(['read', 'follow']);
  });

  it('is read here where the worker fails, or where there is none', async () => {
    const text = await fresh(LARGE);
    expect((await read(text)).document).toEqual(LARGE);
    vi.stubGlobal('Worker', FakeWorker);
    FakeWorker.fails = true;
    expect((await read(text)).document).toEqual(LARGE);
    expect((await placesOf(text, ['nodes[1].id']))[0]?.line).toBeGreaterThan(1);
    expect(FakeWorker.asked).toEqual(['read', 'places']);
  });
});
