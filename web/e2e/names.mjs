// Commands by name, nodes that are renamed and left out, and notes.
import assert from 'node:assert/strict';

/** Finds a node by Ctrl+K, renames it, leaves it out of runs and writes a note beside it. */
export async function names({ page, url, shots }) {
  const agent = (id, prompt) => ({ id, type: 'agent', config: { agent: 'research', prompt } });
  const made = await page.request.post(`${url}/api/v1/workflows?draft=true`, {
    data: {
      name: 'Names',
      nodes: [agent('first', 'Say it'), agent('second', '{{ steps.first.output }}')],
      edges: [{ source: 'first', target: 'second' }],
    },
  });
  const { id } = await made.json();
  const draft = () => page.request.get(`${url}/api/v1/workflows/${id}/draft`).then((answer) => answer.json());
  await page.goto(`${url}/runs`);
  await page.getByRole('heading', { name: 'Runs', level: 1 }).waitFor();
  await page.keyboard.press('Control+k');
  const palette = page.getByRole('combobox', { name: 'Search commands and workflows' });
  await palette.fill('names');
  await page.getByRole('option', { name: /^Names/ }).waitFor();
  await page.keyboard.press('Enter');
  await page.getByTestId('first').waitFor();
  await page.keyboard.press('Control+k');
  await palette.fill('go to first');
  await page.screenshot({ path: `${shots}/commands.png` });
  await page.keyboard.press('Enter');
  const panel = page.getByRole('complementary', { name: /^Node/ });
  await panel.getByRole('tab', { name: 'About' }).click();
  await panel.getByRole('button', { name: 'Change it…' }).click();
  await panel.getByLabel('Id').fill('opening');
  await page.keyboard.press('Enter');
  await page.getByText('first is opening now').waitFor();
  await page.getByTestId('opening').waitFor();
  await panel.getByRole('switch', { name: 'Left out of runs' }).click();
  await page.getByTestId('opening').getByText('left out').waitFor();
  await page.getByRole('button', { name: 'Add a note' }).click();
  await page
    .getByRole('complementary', { name: 'Note' })
    .getByLabel('Text')
    .fill('The opening is left out for now.');
  await page.locator('.note', { hasText: 'left out for now' }).waitFor();
  await page.waitForTimeout(1500);
  await page.getByText(/saved .* never published/).waitFor();
  const { definition } = await draft();
  assert.equal(definition.nodes[0].id, 'opening');
  assert.equal(definition.nodes[0].disabled, true);
  assert.equal(definition.nodes[1].config.prompt, '{{ steps.opening.output }}');
  assert.equal(definition.edges[0].source, 'opening');
  assert.equal(definition.metadata.notes[0].text, 'The opening is left out for now.');
  await page.screenshot({ path: `${shots}/names.png` });
}
