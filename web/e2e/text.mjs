// The definition as text beside its drawing, both ways.
import assert from 'node:assert/strict';

const TEXT = `# what it is for
name: Written
nodes:
  # looks things up
  - id: look
    type: agent
    config: {agent: research, prompt: "{{ input.topic }}"}
  # thinks
  - id: think
    type: agent
    config: {agent: analysis, prompt: "{{ steps.look.output }}"}
edges:
  - {source: look, target: think} # in this order
`;

/** What is typed is drawn, mistakes stand at their lines, and what is drawn is written without losing a comment. */
export async function writes({ page, url, shots }) {
  const made = await page.request.post(`${url}/api/v1/workflows?draft=true`, {
    headers: { 'content-type': 'application/yaml' },
    data: TEXT,
  });
  const { id } = await made.json();
  const saved = () =>
    page.request
      .get(`${url}/api/v1/workflows/${id}/draft`, { headers: { accept: 'application/yaml' } })
      .then((answer) => answer.text());
  await page.goto(`${url}/workflows/${id}`);
  await page.getByTestId('think').click();
  await page.getByRole('complementary', { name: /^Node/ }).getByLabel('Label').fill('Think hard');
  await page.getByText('no problems').waitFor();
  await page.waitForTimeout(1500);
  await page.getByText(/saved .* never published/).waitFor();
  assert.equal(await saved(), TEXT.replace('.output }}"}\n', '.output }}"}\n    name: Think hard\n'));

  await page.getByRole('button', { name: 'YAML', exact: true }).click();
  const pane = page.getByRole('region', { name: 'YAML' });
  const editor = pane.getByRole('textbox', { name: 'Definition as YAML' });
  await editor.waitFor();
  await pane.getByText('name: Think hard').waitFor();
  await pane.getByText('no mistakes').waitFor();
  // Typed and drawn.
  await editor.click();
  await page.keyboard.press('Control+End');
  await page.keyboard.insertText('  - {source: think, target: check}\n');
  await pane.getByText(/Line \d+/).waitFor();
  await pane.getByText('there is no node `check`').waitFor();
  await page.screenshot({ path: `${shots}/yaml-problem.png` });
  await pane.getByText('edges').first().click();
  await page.keyboard.press('Home');
  await page.keyboard.insertText('  - {id: check, type: approval, config: {title: "Good?"}}\n');
  await page.getByRole('region', { name: 'Outline' }).getByText('check').waitFor();
  await page.getByRole('button', { name: 'Show all' }).click();
  await page.getByTestId('check').waitFor();
  await pane.getByText('no mistakes').waitFor();
  // Broken text leaves the drawing alone and says where.
  await pane.getByText('edges').first().click();
  await page.keyboard.press('Home');
  await page.keyboard.insertText('[');
  await pane
    .getByText(/Line \d+/)
    .first()
    .waitFor();
  assert.equal(await page.getByTestId('check').count(), 1);
  await page.screenshot({ path: `${shots}/yaml-broken.png` });
  await page.keyboard.press('Backspace');
  await pane.getByText('no mistakes').waitFor();
  // Drawn and written: a node that goes takes its comment along.
  await page.getByTestId('look').click();
  await page.keyboard.press('Delete');
  await page.getByTestId('look').waitFor({ state: 'detached' });
  await pane.getByText('# looks things up').waitFor({ state: 'detached' });
  await page.waitForTimeout(1500);
  await page.getByText(/saved .* never published/).waitFor();
  const text = await saved();
  assert.match(text, /# thinks\n {2}- id: think/);
  assert.match(text, /# what it is for/);
  assert.doesNotMatch(text, /looks things up/);
  await page.screenshot({ path: `${shots}/yaml.png` });
}

/** A long text is read beside the page: typed into it is drawn, and drawn is written. */
export async function writesLong({ page, url }) {
  const nodes = Array.from(
    { length: 300 },
    (_, n) => `  - {id: n${n}, type: agent, config: {agent: research, prompt: "Say ${n}"}} # the ${n}.\n`,
  );
  const made = await page.request.post(`${url}/api/v1/workflows?draft=true`, {
    headers: { 'content-type': 'application/yaml' },
    data: `name: Long\nnodes:\n${nodes.join('')}`,
  });
  const { id } = await made.json();
  await page.goto(`${url}/workflows/${id}`);
  const outline = page.getByRole('region', { name: 'Outline' });
  await outline.getByRole('button', { name: /^n0\b/ }).waitFor();
  await page.getByRole('button', { name: 'YAML', exact: true }).click();
  const pane = page.getByRole('region', { name: 'YAML' });
  await pane.getByText('# the 0.').waitFor();
  await pane.getByText('no mistakes').waitFor();
  await pane.getByText('name: Long').click();
  await page.keyboard.press('End');
  await page.keyboard.insertText('\ndescription: typed');
  await page.waitForTimeout(3000);
  await page.getByText(/saved .* never published/).waitFor();
  assert.ok(page.workers().length > 0, 'a worker reads it');
  await outline.getByRole('button', { name: /^n1\b/ }).click();
  await page.getByRole('button', { name: 'Close the YAML' }).click();
  await page.getByRole('complementary', { name: /^Node/ }).getByLabel('Label').fill('Renamed');
  await page.getByText('saving…').waitFor();
  await page.getByText(/saved .* never published/).waitFor();
  const text = await page.request
    .get(`${url}/api/v1/workflows/${id}/draft`, { headers: { accept: 'application/yaml' } })
    .then((answer) => answer.text());
  assert.match(text, /^description: typed$/m);
  assert.match(text, /id: n1,.*name: Renamed.*# the 1\.$/m);
}
