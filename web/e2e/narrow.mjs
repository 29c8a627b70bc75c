// 512 pixels, as 1024 are at twice their size: nothing is lost, and nothing has to be scrolled sideways.
import AxeBuilder from '@axe-core/playwright';
import assert from 'node:assert/strict';

const NODE = { id: 'one', type: 'wait', config: { for: '1s' } };

/** What stands beside a drawing elsewhere stands over it here, and goes by Escape. */
export async function narrows({ page, url, shots }) {
  const made = await page.request.post(`${url}/api/v1/workflows?draft=true`, {
    data: { name: 'Narrow', nodes: [NODE] },
  });
  const { id } = await made.json();
  await page.setViewportSize({ width: 512, height: 768 });
  await page.goto(`${url}/workflows/${id}`);
  const node = page.getByTestId('one');
  await node.waitFor();
  const panel = page.getByRole('complementary');
  assert.equal(await panel.count(), 0);
  await node.click();
  await panel.getByLabel('Label').waitFor();
  await page.screenshot({ path: `${shots}/narrow-panel.png` });
  assert.deepEqual((await new AxeBuilder({ page }).analyze()).violations, []);
  await panel.getByRole('tab', { name: 'Settings' }).focus();
  await page.keyboard.press('Escape');
  await panel.waitFor({ state: 'detached' });
  await page.getByRole('button', { name: 'The workflow’s own' }).click();
  await panel.getByRole('button', { name: 'Close the panel' }).click();
  await page.getByRole('button', { name: 'Outline' }).click();
  await page.getByRole('region', { name: 'Outline' }).getByRole('button', { name: /^one/ }).click();
  // One drawer at a time.
  await page.getByRole('region', { name: 'Outline' }).waitFor({ state: 'detached' });
  await page.getByRole('button', { name: 'Close the node' }).click();
  await page.getByRole('button', { name: 'YAML', exact: true }).click();
  await page.getByRole('textbox', { name: 'Definition as YAML' }).waitFor();
  await page.getByRole('button', { name: 'Close the YAML' }).click();
  for (const path of [
    '/',
    '/runs',
    '/agents',
    '/agents/research',
    '/triggers',
    '/usage',
    '/approvals',
    '/settings',
    `/workflows/${id}`,
  ]) {
    await page.goto(url + path);
    await page.getByRole('heading', { level: 1 }).first().waitFor();
    await page.screenshot({ path: `${shots}/narrow${path.replaceAll('/', '-')}.png` });
    const wide = await page.evaluate(
      () => globalThis.document.documentElement.scrollWidth - globalThis.innerWidth,
    );
    assert.ok(wide <= 0, `${path} is ${wide} pixels too wide`);
  }
  await page.setViewportSize({ width: 1440, height: 900 });
}
