import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { signIn, signOut } from './credential';
import { api } from './api';
import { makeStore } from './store';

const answers: Response[] = [];
let asked: Request[] = [];

beforeEach(() => {
  asked = [];
  answers.length = 0;
  vi.stubGlobal('fetch', (url: string, init: RequestInit) => {
    asked.push(new Request(url, init));
    return Promise.resolve(answers.shift() ?? new Response('{}'));
  });
});
afterEach(() => {
  vi.unstubAllGlobals();
  signOut();
});

const json = (value: unknown, init: ResponseInit = {}) => new Response(JSON.stringify(value), init);

describe('a request', () => {
  it('has the key of the tab, and the body as it is written', async () => {
    signIn(' cb_key ');
    answers.push(
      json({ id: 'w', name: 'n', version: 3, problems: [] }),
      json({ id: 'w', name: 'n', version: 4, problems: [] }),
    );
    const store = makeStore();
    const text = '{"name":"n","metadata":{"n":12345678901234567890}}';
    const { data } = await store.dispatch(api.endpoints.saveDefinition.initiate({ id: 'w', base: 3, text }));
    expect(data?.version).toBe(4);
    const [request, published] = asked;
    expect(new URL(published?.url ?? '').pathname).toBe('/api/v1/workflows/w/publish');
    expect(request?.headers.get('authorization')).toBe('Bearer cb_key');
    expect(request?.headers.get('if-match')).toBe('"3"');
    expect(request?.method).toBe('PUT');
    expect(new URL(request?.url ?? '').search).toBe('?draft=true');
    expect(await request?.text()).toBe(text);
  });

  it('is sent again where the server says when', async () => {
    answers.push(json({}, { status: 503, headers: { 'retry-after': '0' } }), json({ items: [], next: null }));
    const { data } = await makeStore().dispatch(api.endpoints.listRuns.initiate({}));
    expect(asked).toHaveLength(2);
    expect(data).toEqual({ items: [], next: null });
  });

  it('that changes something is not sent again on its own', async () => {
    answers.push(json({ code: 'stopping', title: 't' }, { status: 503, headers: { 'retry-after': '0' } }));
    const store = makeStore();
    const { error } = await store.dispatch(api.endpoints.saveDefinition.initiate({ text: '{}' }));
    expect(error).toMatchObject({ status: 503, code: 'stopping' });
    expect(asked).toHaveLength(1);
  });

  it('says that the server is away in words', async () => {
    vi.stubGlobal('fetch', () => Promise.reject(new TypeError('no network')));
    const { error } = await makeStore().dispatch(api.endpoints.listRuns.initiate({}));
    expect(error).toMatchObject({ code: 'offline' });
  });
});
