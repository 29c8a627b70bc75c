// Outputs that are given, and parts of a draft that are tried.
import assert from 'node:assert/strict';

const agent = (id, prompt) => ({ id, type: 'agent', config: { agent: 'research', prompt } });

/** An output is pinned, one node runs over it, another output is typed, and the run says what was given. */
export async function pins({ page, url, shots }) {
  const made = await page.request.post(`${url}/api/v1/workflows?draft=true`, {
    data: {
      name: 'Pins',
      nodes: [
        agent('first', 'Say it'),
        agent('second', '{{ steps.first.output }}'),
        agent('third', '{{ steps.second.output }}'),
      ],
      edges: [
        { source: 'first', target: 'second' },
        { source: 'second', target: 'third' },
      ],
    },
  });
  const { id } = await made.json();
  const last = async () => {
    const runs = await page.request.get(`${url}/api/v1/runs?workflow_id=${id}`).then((one) => one.json());
    const run = runs.items[0].id;
    const steps = await page.request.get(`${url}/api/v1/runs/${run}/steps`).then((one) => one.json());
    return { run, steps: Object.fromEntries(steps.items.map((step) => [step.node, step])) };
  };
  const state = (node, word) => page.getByTestId(node).locator('.status', { hasText: word });
  const panel = page.getByRole('complementary', { name: /^Node/ });
  const start = async (name) => {
    const dialog = page.getByRole('dialog', { name });
    await dialog.getByRole('button', { name: /start/i }).click();
    await dialog.waitFor({ state: 'hidden' });
  };
  const data = async (node) => {
    await page.getByTestId(node).click();
    await panel.getByRole('tab', { name: 'Data' }).click();
  };
  await page.goto(`${url}/workflows/${id}`);
  await page.getByTestId('first').waitFor();
  await data('second');
  await panel.getByRole('button', { name: 'Run until here' }).click();
  await start('Run until second');
  await state('second', 'completed').waitFor({ timeout: 20_000 });
  assert.notEqual((await last()).steps.third?.status, 'completed');

  await data('first');
  await panel.getByRole('button', { name: 'Pin this output' }).click();
  await page.getByTestId('first').getByText('pinned').waitFor();
  await page.screenshot({ path: `${shots}/pins.png` });
  await data('second');
  await panel.getByRole('button', { name: 'Run only this node' }).click();
  await page.getByRole('dialog').getByText('Given, and not run: first.').waitFor();
  const before = (await last()).run;
  await start('Run only second');
  await page.getByTestId('first').getByText('given').waitFor();
  await state('second', 'completed').waitFor({ timeout: 20_000 });
  const only = await last();
  assert.notEqual(only.run, before);
  assert.equal(only.steps.first.pinned, true);
  assert.equal(only.steps.third?.status ?? 'skipped', 'skipped');

  await data('first');
  await panel.getByRole('button', { name: 'Take the pin away' }).click();
  await panel.getByRole('button', { name: 'Pin other data…' }).click();
  await panel.getByLabel('Output that is pinned').fill('"typed"');
  await panel.getByLabel('Output that is pinned').blur();
  await panel.getByRole('button', { name: 'Pin it' }).click();
  await panel.getByLabel('Pinned output', { exact: true }).waitFor();
  // It stays in this browser.
  await page.reload();
  await page.getByTestId('first').getByText('pinned').waitFor();
  await page.getByRole('button', { name: 'Run draft' }).click();
  await start('Run the draft');
  await state('third', 'completed').waitFor({ timeout: 20_000 });
  const typed = await last();
  assert.equal(typed.steps.first.output, 'typed');
  assert.match(JSON.stringify(typed.steps.second.input), /typed/);
  await page.goto(`${url}/runs/${typed.run}`);
  await page.getByText('tried: 1 pinned').first().waitFor();
  await page.getByTestId('first').getByText('given').waitFor();
  await page.screenshot({ path: `${shots}/run-tried.png` });

  await page.goto(`${url}/workflows/${id}`);
  await page.getByTestId('first').click();
  const prompt = panel.getByRole('textbox', { name: 'prompt' });
  await prompt.click();
  await page.keyboard.insertText('Now ');
  await page.getByTestId('first').getByText('pinned, stale').waitFor();
}
