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
    answers.push(json({ id: 'w', name: 'n', version: 3, problems: [], draft: 'd8' }));
    const store = makeStore();
    const text = '{"name":"n","metadata":{"n":12345678901234567890}}';
    const what = { id: 'w', etag: 'd7', text, type: 'application/json' } as const;
    const { data } = await store.dispatch(api.endpoints.writeDraft.initiate(what));
    expect(data?.draft).toBe('d8');
    const [request] = asked;
    expect(request?.headers.get('authorization')).toBe('Bearer cb_key');
    expect(request?.headers.get('if-match')).toBe('"d7"');
    expect(request?.method).toBe('PUT');
    expect(new URL(request?.url ?? '').pathname).toBe('/api/v1/workflows/w/draft');
    expect(await request?.text()).toBe(text);
  });

  it('has the draft as it was written, where that is YAML', async () => {
    const draft = {
      id: 'w',
      etag: 'd1',
      version: 0,
      author: null,
      updated_at: 'now',
      definition: { name: 'n' },
    };
    answers.push(json({ ...draft, media_type: 'application/yaml' }), new Response('name: n # this\n'));
    const store = makeStore();
    const { data } = await store.dispatch(api.endpoints.openWorkflow.initiate('w'));
    expect(data).toMatchObject({ etag: 'd1', text: 'name: n # this\n', definition: { name: 'n' } });
    expect(asked[1]?.headers.get('accept')).toBe('application/yaml');
    answers.push(json({ ...draft, media_type: 'application/json' }));
    const again = { forceRefetch: true };
    expect((await store.dispatch(api.endpoints.openWorkflow.initiate('w', again))).data?.text).toBeNull();
    expect(asked).toHaveLength(3);
  });

  it('says what there is now where a draft has changed', async () => {
    answers.push(json({ code: 'draft_changed', title: 't', current: { etag: 'd9' } }, { status: 412 }));
    const what = { id: 'w', etag: 'd7', text: '{}', type: 'application/json' } as const;
    const { error } = await makeStore().dispatch(api.endpoints.writeDraft.initiate(what));
    expect(error).toMatchObject({ code: 'draft_changed', current: { etag: 'd9' } });
  });

  it('is sent again where the server says when', async () => {
    answers.push(json({}, { status: 503, headers: { 'retry-after': '0' } }), json({ items: [], next: null }));
    const { data } = await makeStore().dispatch(api.endpoints.listRuns.initiate({}));
    expect(asked).toHaveLength(2);
    expect(data).toEqual({ items: [], next: null });
  });

  it('names what is given several times as often', async () => {
    answers.push(json({ items: [] }));
    await makeStore().dispatch(api.endpoints.getUsage.initiate({ by: ['agent', 'workflow'], from: '' }));
    expect(new URL(asked[0]?.url ?? '').search).toBe('?by=agent&by=workflow');
  });

  it('that changes something is not sent again on its own', async () => {
    answers.push(json({ code: 'stopping', title: 't' }, { status: 503, headers: { 'retry-after': '0' } }));
    const store = makeStore();
    const { error } = await store.dispatch(
      api.endpoints.createDraft.initiate({ text: '{}', type: 'application/json' }),
    );
    expect(error).toMatchObject({ status: 503, code: 'stopping' });
    expect(asked).toHaveLength(1);
  });

  it('says that the server is away in words', async () => {
    vi.stubGlobal('fetch', () => Promise.reject(new TypeError('no network')));
    const { error } = await makeStore().dispatch(api.endpoints.listRuns.initiate({}));
    expect(error).toMatchObject({ code: 'offline' });
  });
});
