// A schedule and a webhook, made on the page, paused, fired and delivered to.
import assert from 'node:assert/strict';

/** What starts by itself: said before it is made, its secret once, its occasions with their runs. */
export async function fires({ page, url, shots }) {
  const made = await page.request.post(`${url}/api/v1/workflows`, {
    data: {
      name: 'Ticks',
      nodes: [{ id: 'a', type: 'wait', config: { for: '1s' } }],
    },
  });
  if (!made.ok()) throw new Error(await made.text());
  await page.goto(`${url}/triggers`);
  await page.getByRole('heading', { name: 'Nothing starts by itself' }).waitFor();
  await page.getByRole('button', { name: 'New trigger' }).click();
  const dialog = page.getByRole('dialog', { name: 'New trigger' });
  await dialog.getByRole('combobox', { name: 'Workflow' }).click();
  await page.getByRole('option', { name: 'Ticks' }).click();
  await dialog.getByLabel('Name').fill('mornings');
  await dialog.getByRole('textbox', { name: 'Cron' }).fill('0 8 * *');
  await dialog.getByText('a cron has 5 fields').waitFor();
  await dialog.getByRole('textbox', { name: 'Cron' }).fill('0 8 * * 1-5');
  await dialog.getByText('It would fire next').waitFor();
  assert.equal(await dialog.locator('.fires-next li').count(), 5);
  await page.screenshot({ path: `${shots}/trigger-new.png` });
  await dialog.getByRole('button', { name: 'Make it' }).click();
  await dialog.waitFor({ state: 'hidden' });
  await page.getByText(/^in \d+ (h|d)/).waitFor();
  // Changed: it fires as often as is said now.
  await page.getByRole('button', { name: 'What to do with mornings' }).click();
  await page.getByRole('menuitem', { name: 'Change it…' }).click();
  const change = page.getByRole('dialog', { name: 'Change the trigger' });
  assert.equal(await change.getByRole('textbox', { name: 'Cron' }).inputValue(), '0 8 * * 1-5');
  await change.getByRole('textbox', { name: 'Cron' }).fill('0 9 * * *');
  await change.getByText('It would fire next').waitFor();
  await change.getByRole('button', { name: 'Change it' }).click();
  await change.waitFor({ state: 'hidden' });
  await page.getByText(/^0 9 \* \* \*/).waitFor();
  // Paused: nothing is next.
  const fires = page.getByRole('switch', { name: 'mornings fires' });
  await fires.click();
  await page.getByText('paused', { exact: true }).waitFor();
  assert.equal(await fires.isChecked(), false);

  await page.getByRole('button', { name: 'New trigger' }).click();
  await dialog.getByText('Webhook: by a request').click();
  await dialog.getByRole('combobox', { name: 'Workflow' }).click();
  await page.getByRole('option', { name: 'Ticks' }).click();
  await dialog.getByLabel('Name').fill('pushes');
  await dialog.getByRole('combobox', { name: 'How deliveries are signed' }).click();
  await page.getByRole('option', { name: /bearer/ }).click();
  await dialog.getByRole('button', { name: 'Make it' }).click();
  const told = page.getByRole('dialog', { name: 'The secret of the webhook' });
  const secret = await told.getByLabel('Secret', { exact: true }).innerText();
  const address = await told.getByLabel('Address', { exact: true }).innerText();
  await page.screenshot({ path: `${shots}/trigger-secret.png` });
  await told.getByRole('button', { name: 'I have it' }).click();
  await told.waitFor({ state: 'hidden' });
  const answer = await page.request.post(address.trim(), {
    headers: { authorization: `Bearer ${secret.trim()}` },
    data: {},
  });
  assert.equal(answer.status(), 202);
  await page
    .getByRole('row', { name: /pushes/ })
    .getByRole('button', { name: 'More' })
    .click();
  await page.getByRole('link', { name: 'Open the run' }).waitFor();
  await page.screenshot({ path: `${shots}/triggers-open.png` });
  await page.getByRole('button', { name: 'What to do with mornings' }).click();
  await page.getByRole('menuitem', { name: 'Fire now' }).click();
  await page.getByRole('heading', { name: /Ticks/ }).first().waitFor();
}
