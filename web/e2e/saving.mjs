// Two people on one draft, a network that goes away, versions that differ, and the way back.
import assert from 'node:assert/strict';

const panel = (page) => page.getByRole('complementary', { name: /^Node/ });

async function label(page, text) {
  await page.getByTestId('node-1').click();
  await panel(page).getByRole('tab', { name: 'Settings' }).click();
  await panel(page).getByLabel('Label').fill(text);
  await panel(page).getByLabel('Label').blur();
}

/** What is edited is saved by itself; over somebody else's change a person decides. */
export async function saves({ page, url, shots, context }) {
  const list = await page.request.get(`${url}/api/v1/workflows`).then((answer) => answer.json());
  const { id } = list.items.find((workflow) => workflow.name === 'New workflow');
  const at = `${url}/workflows/${id}`;
  const draft = () => page.request.get(`${url}/api/v1/workflows/${id}/draft`).then((answer) => answer.json());
  const first = async () => (await draft()).definition.nodes[0].name;
  await page.goto(at);
  await page.getByText('version 1, published').waitFor();
  assert.equal(await page.getByRole('button', { name: 'Run draft' }).count(), 0);
  await label(page, 'look up');
  await page.getByText(/saved .* differs from version 1/).waitFor();
  assert.equal(await first(), 'look up');
  await page.getByRole('button', { name: 'Run draft' }).waitFor();

  const other = await context.newPage();
  await other.goto(at);
  await other.getByTestId('node-1').waitFor();
  await label(other, 'theirs');
  await other.getByText(/saved .* differs/).waitFor();
  await page.bringToFront();
  await label(page, 'mine');
  const told = page.getByRole('dialog', { name: 'Somebody else has changed this workflow' });
  await told.getByText('node node-1 changed (name)').waitFor();
  await page.screenshot({ path: `${shots}/conflict.png` });
  await page.keyboard.press('Escape');
  await page.getByText('Not saved: somebody else').waitFor();
  assert.equal(await first(), 'theirs');
  await page.getByRole('button', { name: 'See both and decide' }).click();
  await told.getByRole('button', { name: 'Keep mine' }).click();
  await page.getByText(/saved .* differs/).waitFor();
  assert.equal(await first(), 'mine');

  await other.bringToFront();
  await label(other, 'once more');
  const toldThem = other.getByRole('dialog', { name: 'Somebody else has changed this workflow' });
  await toldThem.getByRole('button', { name: 'Load theirs' }).click();
  await other.getByText(/saved .* differs/).waitFor();
  await other.getByTestId('node-1').getByText('mine').waitFor();
  await other.close();

  await page.bringToFront();
  await context.setOffline(true);
  await label(page, 'research');
  await page.getByText(/Not saved: The server can’t be reached/).waitFor();
  await page.screenshot({ path: `${shots}/not-saved.png` });
  await context.setOffline(false);
  await page.getByText(/saved .* differs|version 1, published/).waitFor({ timeout: 20_000 });
  assert.equal(await first(), 'research');
}

/** Two versions and what differs between them, on the drawing, in words and as text; the older one is restored. */
export async function restores({ page, shots }) {
  await page.getByTestId('node-4').click();
  await page.getByRole('button', { name: 'Add Node' }).click();
  await page
    .getByRole('dialog', { name: 'Kinds of nodes' })
    .getByRole('option', { name: /Approval/ })
    .click();
  await panel(page).getByRole('textbox', { name: 'title' }).click();
  await page.keyboard.insertText('Good enough?');
  await page.getByText('no problems').waitFor();
  await page.getByRole('button', { name: 'Publish' }).click();
  const dialog = page.getByRole('dialog', { name: 'Publish version 2' });
  await dialog.getByText('node node-5 added').waitFor();
  await dialog.getByLabel('What is new').fill('a person looks at it');
  await page.screenshot({ path: `${shots}/publish.png` });
  await dialog.getByRole('button', { name: 'Publish' }).click();
  await page.getByText('version 2, published').waitFor();
  await page.getByRole('button', { name: 'More' }).click();
  await page.getByRole('menuitem', { name: 'Versions' }).click();
  const versions = page.getByRole('list', { name: 'Versions' });
  await versions.getByText('a person looks at it').waitFor();
  await page.getByRole('region', { name: 'In words' }).getByText('node node-5 added').waitFor();
  await page.locator('.diff-word', { hasText: 'added' }).waitFor();
  await page.getByText('YAML', { exact: true }).click();
  await page
    .getByRole('row', { name: /added: .*node-5/ })
    .first()
    .waitFor();
  await page.screenshot({ path: `${shots}/versions-text.png` });
  await page.getByRole('button', { name: 'Restore version 1' }).click();
  await page
    .getByRole('dialog', { name: 'Restore version 1?' })
    .getByRole('button', { name: 'Restore it' })
    .click();
  await page.getByText(/saved .* differs from version 2/).waitFor();
  assert.equal(await page.getByTestId('node-5').count(), 0);
}
