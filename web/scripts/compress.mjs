// Packs what was built once, so that no response has to.
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';

const FOLDER = 'dist/page';
const LEAST = 512;

// What the build notes for itself is no part of the page; `size.mjs` reads it from beside it.
const manifest = readFileSync(`${FOLDER}/.vite/manifest.json`);
rmSync(`${FOLDER}/.vite`, { recursive: true });

for (const entry of readdirSync(FOLDER, { recursive: true, withFileTypes: true })) {
  const path = `${entry.parentPath}/${entry.name}`;
  if (!entry.isFile() || !/\.(js|css|svg)$/.test(entry.name)) continue;
  const data = readFileSync(path);
  if (data.length < LEAST) continue;
  writeFileSync(
    `${path}.br`,
    brotliCompressSync(data, { params: { [constants.BROTLI_PARAM_SIZE_HINT]: data.length } }),
  );
  writeFileSync(`${path}.gz`, gzipSync(data, { level: 9 }));
}
writeFileSync('dist/manifest.json', manifest);
