// What a person does at the page, found as a person finds it: by role and by name.
import AxeBuilder from '@axe-core/playwright';
import assert from 'node:assert/strict';

const NAMES = ['research', 'analysis', 'implementation', 'qa'];

/** Draws research → analysis → implementation → qa from an empty page. */
export async function draws({ page, url, shots }) {
  await page.goto(url);
  await page.getByRole('heading', { name: 'Workflows', level: 1 }).waitFor();
  await page.screenshot({ path: `${shots}/workflows-empty.png` });
  await page.getByRole('button', { name: 'New workflow' }).click();
  await page.getByRole('heading', { name: 'New workflow', level: 1 }).waitFor();
  await page
    .getByLabel('Input', { exact: true })
    .last()
    .fill('{"type":"object","properties":{"topic":{"type":"string"}},"required":["topic"]}');
  for (const [index, name] of NAMES.entries()) {
    await page.getByRole('button', { name: 'Add Node' }).click();
    const palette = page.getByRole('dialog', { name: 'Kinds of nodes' });
    await palette.getByRole('combobox').press(index === 0 ? 'Enter' : 'Escape');
    await palette.waitFor({ state: 'hidden' });
    await page.getByTestId(`node-${index + 1}`).waitFor();
    const panel = page.getByRole('complementary', { name: new RegExp(`^Node`) });
    await panel.getByLabel('Label').fill(name);
    await panel.getByLabel('Agent').fill(name);
    const before = index === 0 ? '{{ input.topic }}' : `{{ steps["node-${index}"].output }}`;
    const prompt = panel.getByRole('textbox', { name: 'prompt' });
    await prompt.click();
    await page.keyboard.insertText(`${name}: ${before}`);
    await page.keyboard.press('Escape');
  }
  await page.getByText('no problems').waitFor();
  await page.getByRole('button', { name: 'Show all' }).click();
  await page.screenshot({ path: `${shots}/builder.png` });
  assert.equal(await page.locator('.react-flow__edge:not(.implied)').count(), 3);
  // Nobody saves: it is saved.
  await page.getByText(/saved .* never published/).waitFor();
  await page.getByRole('button', { name: 'Publish' }).click();
  const dialog = page.getByRole('dialog', { name: 'Publish version 1' });
  await dialog.getByLabel('What is new').fill('four agents');
  await dialog.getByRole('button', { name: 'Publish' }).click();
  await page.getByText('version 1, published').waitFor();
  // Undo and redo are whole gestures.
  await page.locator('.react-flow__pane').click({ position: { x: 20, y: 20 } });
  await page.keyboard.press('Control+z');
  await page.keyboard.press('Control+Shift+z');
}

/** Runs it on the scripted model and watches the states. */
export async function runs({ page, shots }) {
  await page.getByRole('button', { name: 'Run', exact: true }).click();
  const dialog = page.getByRole('dialog', { name: 'Run version 1' });
  await dialog.getByLabel('Topic').fill('rivers');
  await dialog.getByRole('button', { name: /start/i }).click();
  await dialog.waitFor({ state: 'hidden' });
  const state = (id) => page.getByTestId(id).locator('.status').first();
  await page
    .getByTestId('node-1')
    .locator('.status', { hasText: /running|completed/ })
    .waitFor();
  await page
    .getByTestId('node-2')
    .locator('.status', { hasText: /running|completed/ })
    .waitFor();
  await page.screenshot({ path: `${shots}/builder-running.png` });
  // In the middle of it the page is loaded again; nothing is lost.
  await page.reload();
  await page.getByTestId('node-1').locator('.status', { hasText: 'completed' }).waitFor();
  for (const id of ['node-1', 'node-2', 'node-3', 'node-4']) {
    await page.getByTestId(id).locator('.status', { hasText: 'completed' }).waitFor({ timeout: 30_000 });
  }
  assert.match(await state('node-4').innerText(), /completed/);
  await page.getByTestId('node-4').click();
  await page.getByRole('tab', { name: 'Data' }).click();
  const output = page.getByLabel('Output', { exact: true });
  await output.waitFor();
  assert.match(await output.innerText(), /\[scripted\] qa: .*rivers/s);
  await page.screenshot({ path: `${shots}/builder-done.png` });
}

/** Opens the run, runs it again from a node, and finds both generations. */
export async function survives({ page, url, shots }) {
  await page.getByRole('tab', { name: 'Data' }).waitFor();
  await page.getByRole('button', { name: 'Close the node' }).click();
  await page.getByRole('link', { name: 'Open the run' }).click();
  await page.getByRole('button', { name: 'Run again from…' }).waitFor();
  await page.getByRole('listitem').filter({ hasText: 'analysis' }).first().waitFor();
  await page.screenshot({ path: `${shots}/run.png` });
  await page.getByRole('button', { name: 'Run again from…' }).click();
  const dialog = page.getByRole('dialog', { name: 'Run it again' });
  await dialog.getByRole('combobox', { name: 'From' }).click();
  await page.getByRole('option', { name: 'implementation' }).click();
  await dialog.getByRole('button', { name: 'Run again' }).click();
  await dialog.waitFor({ state: 'hidden' });
  await page.getByText('Generation 2', { exact: true }).waitFor();
  await page.getByTestId('node-4').locator('.status', { hasText: 'completed' }).waitFor({ timeout: 30_000 });
  for (const tab of ['Steps', 'History', 'Input and output']) {
    await page.getByRole('tab', { name: tab }).click();
    await page.getByRole('tabpanel', { name: tab }).waitFor();
  }
  await page.goto(`${url}/`);
  await page.getByRole('button', { name: /Ask a person/ }).click();
  await page.getByRole('button', { name: 'Run draft' }).click();
  const start = page.getByRole('dialog', { name: 'Run the draft' });
  await start.getByLabel('Text').fill('Hello');
  await start.getByRole('button', { name: /start/i }).click();
  await start.waitFor({ state: 'hidden' });
  await page.getByTestId('publish').locator('.status', { hasText: 'waiting' }).waitFor({ timeout: 30_000 });
  await page.goto(`${url}/approvals`);
  await page.getByText('Publish this note?').waitFor();
  await page.screenshot({ path: `${shots}/approvals.png` });
  await page.getByRole('button', { name: 'Approve' }).click();
  await page.getByText('Nothing waits for you').waitFor({ timeout: 30_000 });
}

/** No page has anything that axe finds, in both schemes; pictures of each. */
export async function looksRight({ page, url, shots }) {
  const list = await page.request.get(`${url}/api/v1/workflows`).then((answer) => answer.json());
  const runsOf = await page.request.get(`${url}/api/v1/runs`).then((answer) => answer.json());
  const drawn = list.items.find((workflow) => workflow.name === 'New workflow');
  const run = runsOf.items.find((one) => one.workflow_id === drawn.id);
  const pages = {
    workflows: '/',
    builder: `/workflows/${drawn.id}`,
    yaml: `/workflows/${drawn.id}?`,
    commands: '/runs?',
    versions: `/workflows/${drawn.id}/versions`,
    'builder-run': `/workflows/${drawn.id}?run=${run.id}`,
    runs: '/runs',
    run: `/runs/${run.id}`,
    approvals: '/approvals',
    agents: '/agents',
    agent: '/agents/research',
    triggers: '/triggers',
    usage: '/usage',
    settings: '/settings',
    missing: '/nothing-here',
  };
  const found = [];
  for (const scheme of ['light', 'dark']) {
    await page.evaluate((value) => localStorage.setItem('mantine-color-scheme-value', value), scheme);
    for (const [name, path] of Object.entries(pages)) {
      await page.goto(url + path);
      await page.waitForLoadState('networkidle', { timeout: 4000 }).catch(() => undefined);
      await page.getByRole('heading').first().waitFor();
      if (name === 'builder') {
        await page.getByTestId('node-2').click();
        await page.getByRole('textbox', { name: 'prompt' }).waitFor();
      }
      if (name === 'yaml') {
        await page.getByRole('button', { name: 'YAML', exact: true }).click();
        await page.getByRole('textbox', { name: 'Definition as YAML' }).waitFor();
        await page.mouse.move(700, 300);
        await page.getByRole('tooltip').waitFor({ state: 'hidden' });
      }
      if (name === 'commands') {
        await page.keyboard.press('Control+k');
        await page.getByRole('combobox', { name: 'Search commands and workflows' }).waitFor();
      }
      const { violations } = await new AxeBuilder({ page }).analyze();
      for (const { id, nodes } of violations) {
        found.push(
          `${name} ${scheme}: ${id}: ${nodes
            .slice(0, 3)
            .map((node) => `${node.target} ${node.failureSummary}`)
            .join(' | ')}`,
        );
      }
      await page.screenshot({ path: `${shots}/${name}-${scheme}.png` });
      await page.setViewportSize({ width: 1024, height: 768 });
      const all = page.getByRole('button', { name: 'Show all' });
      if ((await all.count()) > 0) await all.first().dispatchEvent('click');
      await page.waitForTimeout(100);
      await page.screenshot({ path: `${shots}/${name}-small-${scheme}.png` });
      await page.setViewportSize({ width: 1440, height: 900 });
    }
  }
  assert.deepEqual(found, []);
}
