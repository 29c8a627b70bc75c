// What happens elsewhere is seen here at once, over the socket; without one a run is followed all the same.
import assert from 'node:assert/strict';

const AGENT = { type: 'agent', config: { agent: 'research', prompt: 'Say it' } };
const TWO = {
  name: 'Followed',
  nodes: [
    { id: 'first', ...AGENT },
    { id: 'second', ...AGENT },
    { id: 'third', ...AGENT },
  ],
  edges: [
    { source: 'first', target: 'second' },
    { source: 'second', target: 'third' },
  ],
};

const state = (page, id, word) => page.getByTestId(id).locator('.status', { hasText: word });

/** A run that a program starts is on the drawing, and in the list, without a question of the page’s. */
export async function hears({ page, url, context }) {
  const made = await page.request.post(`${url}/api/v1/workflows`, { data: TWO });
  const { id } = await made.json();
  const start = () =>
    page.request
      .post(`${url}/api/v1/workflows/${id}/start`, { data: {} })
      .then((answer) => answer.json())
      .then(({ run_id }) => run_id);
  const sockets = [];
  page.on('websocket', (socket) => sockets.push(socket.url()));
  await page.goto(`${url}/workflows/${id}`);
  await page.getByTestId('first').waitFor();
  await page.waitForTimeout(500);
  assert.ok(
    sockets.some((address) => address.includes('/ws')),
    'there is a socket',
  );
  const asked = [];
  page.on('request', (request) => asked.push(new URL(request.url()).pathname));
  const run = await start();
  // Sooner than any list is looked at again.
  await state(page, 'first', /running|completed/).waitFor({ timeout: 6000 });
  await state(page, 'third', 'completed').waitFor({ timeout: 20_000 });
  assert.ok(!asked.includes(`/api/v1/runs/${run}/history`), 'no stream is read beside the socket');

  const list = await context.newPage();
  await list.goto(`${url}/runs`);
  await list.getByRole('row').nth(1).waitFor();
  await list.waitForTimeout(1000);
  const other = await start();
  await list.getByRole('link', { name: other }).waitFor({ timeout: 6000 });
  await list.close();
}

/** A question of a run that a program starts stands in the inbox before the inbox looks again, and its answer goes as soon. */
export async function asks({ page, url }) {
  const made = await page.request.post(`${url}/api/v1/workflows`, {
    data: {
      name: 'Asks',
      nodes: [
        { id: 'think', ...AGENT },
        { id: 'ask', type: 'approval', config: { title: 'May it go on?' } },
        { id: 'on', type: 'wait', config: { for: '1s' } },
      ],
      edges: [
        { source: 'think', target: 'ask' },
        { source: 'ask', target: 'on', config: { branch: 'approved' } },
      ],
    },
  });
  const { id } = await made.json();
  await page.goto(`${url}/approvals`);
  await page.getByRole('heading', { name: 'Approvals', level: 1 }).waitFor();
  await page.waitForTimeout(1000);
  await page.request.post(`${url}/api/v1/workflows/${id}/start`, { data: {} });
  const question = page.getByRole('article', { name: 'Question of ask' });
  await question.getByText('May it go on?').waitFor({ timeout: 8000 });
  await question.getByText('Yes leads to on, no to no further node.').waitFor();
  await question.getByRole('button', { name: 'Approve' }).click();
  await question.waitFor({ state: 'detached', timeout: 8000 });
}

/** The socket breaks in the middle of a run: what was missed is told, once. */
export async function resumes({ page: first, url, context }) {
  const page = await context.newPage();
  const made = await page.request.post(`${url}/api/v1/workflows`, { data: { ...TWO, name: 'Cut' } });
  const { id } = await made.json();
  const open = [];
  await page.routeWebSocket(/\/ws\//, (socket) => {
    socket.connectToServer();
    open.push(socket);
  });
  await page.goto(`${url}/workflows/${id}`);
  await page.getByTestId('first').waitFor();
  await page.request.post(`${url}/api/v1/workflows/${id}/start`, { data: {} });
  await state(page, 'first', /running|completed/).waitFor({ timeout: 6000 });
  const before = open.length;
  await open.at(-1).close();
  await state(page, 'third', 'completed').waitFor({ timeout: 20_000 });
  assert.ok(open.length > before, 'it was opened again');
  await page.getByTestId('first').getByText('tok').waitFor();
  await page.close();
  await first.bringToFront();
}

/** No socket at all, as behind a proxy that knows none: the stream tells it. */
export async function streams({ page, url, context }) {
  const made = await page.request.post(`${url}/api/v1/workflows`, { data: { ...TWO, name: 'No socket' } });
  const { id } = await made.json();
  const other = await context.newPage();
  await other.routeWebSocket(/\/ws\//, (socket) => socket.close());
  await other.goto(`${url}/workflows/${id}`);
  await other.getByTestId('first').waitFor();
  await other.getByRole('button', { name: 'Run', exact: true }).click();
  const dialog = other.getByRole('dialog', { name: 'Run version 1' });
  await dialog.getByRole('button', { name: /start/i }).click();
  await dialog.waitFor({ state: 'hidden' });
  for (const node of ['first', 'second', 'third']) {
    await state(other, node, 'completed').waitFor({ timeout: 20_000 });
  }
  await other.close();
}
