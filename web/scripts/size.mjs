// How much a browser loads before the builder can be used, packed by brotli. More than the limit is a failure.
import { readFileSync, statSync } from 'node:fs';

const LIMIT = 350 * 1024;
const ENTRY = 'index.html';
const ROUTE = 'src/components/workflow/BuilderPage.tsx';

const manifest = JSON.parse(readFileSync('dist/manifest.json', 'utf8'));
const files = new Set();
const take = (name) => {
  const chunk = manifest[name];
  if (!chunk || files.has(chunk.file)) return;
  for (const file of [chunk.file, ...(chunk.css ?? [])]) files.add(file);
  // What is imported later is loaded when it is needed.
  for (const other of chunk.imports ?? []) take(other);
};
take(ENTRY);
take(ROUTE);

const packed = (file) => {
  try {
    return statSync(`dist/page/${file}.br`).size;
  } catch {
    return statSync(`dist/page/${file}`).size;
  }
};
const sizes = [...files].map((file) => [packed(file), file]).sort((a, b) => b[0] - a[0]);
const total = sizes.reduce((sum, [size]) => sum + size, 0);
for (const [size, file] of sizes) console.log(String(Math.round(size / 1024)).padStart(5), 'KB', file);
console.log(
  String(Math.round(total / 1024)).padStart(5),
  'KB of',
  LIMIT / 1024,
  'before the builder can be used',
);
if (total > LIMIT || !manifest[ROUTE]) process.exit(1);
