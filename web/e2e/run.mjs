// A person at the page, in a real browser, over the real program with the scripted model. Bounded: it ends within minutes.
//
// CALLBOARD_BIN names the program, CALLBOARD_CHROMIUM the browser, SHOTS a folder for pictures, CASES
// the cases that are tried (draws,runs), all unless it is given.
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { chromium } from 'playwright-core';
import { sums, talks } from './agents.mjs';
import { draws, looksRight, runs, survives } from './cases.mjs';
import { asks, hears, resumes, streams } from './live.mjs';
import { restores, saves } from './saving.mjs';
import { names } from './names.mjs';
import { narrows } from './narrow.mjs';
import { pins } from './pins.mjs';
import { writes, writesLong } from './text.mjs';
import { fires } from './triggers.mjs';

const BIN = resolve(process.env.CALLBOARD_BIN ?? '../target/debug/callboard');
const BROWSER = process.env.CALLBOARD_CHROMIUM ?? '/usr/bin/chromium';
const BOUND_MS = 540_000;
const CASES = [
  draws,
  runs,
  survives,
  saves,
  restores,
  writes,
  writesLong,
  names,
  pins,
  hears,
  asks,
  resumes,
  streams,
  fires,
  talks,
  sums,
  narrows,
  looksRight,
];
const SCRIPT = `delay: 700ms
rules: []
`;

const free = () =>
  new Promise((done) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => done(port));
    });
  });

async function server(folder) {
  writeFileSync(join(folder, 'scripted.yaml'), SCRIPT);
  const [port, http, grpc] = [await free(), await free(), await free()];
  const args = [
    'dev',
    '--listen',
    `127.0.0.1:${port}`,
    '--dapr-http-port',
    `${http}`,
    '--dapr-grpc-port',
    `${grpc}`,
  ];
  const child = spawn(BIN, [...args, '--data', join(folder, 'data')], {
    cwd: resolve('..'),
    env: { ...process.env, OPENAI_API_KEY: '', CALLBOARD__MODELS__SCRIPT: join(folder, 'scripted.yaml') },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let log = '';
  const ready = new Promise((done, fail) => {
    child.stdout.on('data', (data) => String(data).startsWith('ready ') && done());
    child.on('exit', (code) => fail(new Error(`the program ended with ${code}:\n${log}`)));
  });
  child.stderr.on('data', (data) => (log += data));
  await ready;
  return { url: `http://127.0.0.1:${port}`, child, log: () => log };
}

const folder = mkdtempSync(join(tmpdir(), 'callboard-e2e-'));
const shots = process.env.SHOTS ?? join(folder, 'shots');
mkdirSync(shots, { recursive: true });
const { url, child, log } = await server(folder);
const browser = await chromium.launch({ executablePath: BROWSER, args: ['--no-sandbox', '--disable-gpu'] });
const bound = setTimeout(() => {
  console.error('it took too long');
  process.exit(1);
}, BOUND_MS);
let failed = false;
try {
  const context = await browser.newContext({
    viewport: { width: 1440, height: 900 },
    reducedMotion: 'reduce',
  });
  const page = await context.newPage();
  const wrong = [];
  page.on('console', (message) => message.type() === 'error' && wrong.push(message.text()));
  page.on('pageerror', (error) => wrong.push(String(error)));
  page.setDefaultTimeout(15_000);
  const world = { page, url, shots, wrong, context };
  const wanted = process.env.CASES?.split(',');
  for (const test of CASES) {
    if (wanted && !wanted.includes(test.name)) continue;
    await test(world).catch(async (error) => {
      await page.screenshot({ path: `${shots}/failed.png` }).catch(() => undefined);
      throw error;
    });
    console.log(`ok  ${test.name}`);
  }
  // What the policy refused, or a script that failed: nothing may be.
  const real = wrong.filter((text) => !/404|409|412|422|401|ERR_INTERNET_DISCONNECTED/.test(text));
  if (real.length > 0) throw new Error(`the browser complained:\n${real.join('\n')}`);
  console.log('ok  nothing was refused or failed in the browser');
} catch (error) {
  failed = true;
  console.error(error);
  console.error(log().slice(-4000));
} finally {
  clearTimeout(bound);
  await browser.close();
  child.kill('SIGTERM');
  if (!failed) rmSync(folder, { recursive: true, force: true });
}
process.exit(failed ? 1 : 0);
