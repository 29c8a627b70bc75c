// Agents, a talk with one, and what was used.
import assert from 'node:assert/strict';

/** An agent is found, read and asked twice; its words come while it speaks. */
export async function talks({ page, url, shots }) {
  await page.goto(`${url}/agents`);
  await page.getByRole('heading', { name: 'Agents', level: 1 }).waitFor();
  await page.getByRole('link', { name: /research/ }).click();
  await page.getByRole('heading', { name: 'research', level: 1 }).waitFor();
  await page.getByRole('region', { name: 'Settings' }).getByText('gpt-4', { exact: true }).waitFor();
  const talk = page.getByRole('region', { name: 'Try research' });
  await talk.getByLabel('Ask research').fill('Where do rivers begin?');
  await page.keyboard.press('Enter');
  const said = talk.getByRole('log');
  await said.getByText(/\[scripted\].*Where do rivers begin/s).waitFor({ timeout: 20_000 });
  await said.getByRole('link', { name: 'Open the run' }).waitFor();
  await talk.getByLabel('Ask research').fill('And where do they end?');
  await talk.getByRole('button', { name: 'Ask', exact: true }).click();
  await said.getByRole('link', { name: 'Open the run' }).nth(1).waitFor({ timeout: 20_000 });
  await page.screenshot({ path: `${shots}/agent-talk.png` });
  assert.match(await said.innerText(), /This was said before/);
}

/** What ended runs used: bars, the same as a table, and by whom. */
export async function sums({ page, url, shots }) {
  await page.goto(`${url}/usage`);
  await page.getByRole('img', { name: /^Tokens of 30 days/ }).waitFor();
  await page.getByRole('region', { name: 'By agent' }).getByRole('link', { name: 'research' }).waitFor();
  await page.screenshot({ path: `${shots}/usage.png` });
  await page.getByText('Table', { exact: true }).click();
  const today = new Date().toISOString().slice(0, 10);
  await page.getByRole('row', { name: new RegExp(`^${today}`) }).waitFor();
  await page.getByText('7 days', { exact: true }).click();
  await page.waitForURL(/days=7/);
  await page.getByRole('region', { name: 'By agent' }).getByRole('link', { name: 'research' }).click();
  await page.getByRole('region', { name: 'Where it is used' }).getByRole('table').waitFor();
}
