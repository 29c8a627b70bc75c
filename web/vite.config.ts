import react from '@vitejs/plugin-react';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

// The server replaces it in each response, and sends the same nonce in the policy.
const NONCE = 'CSP_NONCE';

const SERVER = process.env.CALLBOARD_URL ?? 'http://127.0.0.1:8080';

export default defineConfig({
  plugins: [react()],
  html: { cspNonce: NONCE },
  resolve: {
    alias: {
      // The form library's own tests want it; it compiles schemas, which the page's policy refuses.
      '@rjsf/validator-ajv8': fileURLToPath(new URL('src/components/form/validator.ts', import.meta.url)),
      '@examples': fileURLToPath(new URL('../config/examples', import.meta.url)),
    },
  },
  // A folder in a folder that is always there: Cargo looks at the outer one to see whether the page was built anew.
  build: { outDir: 'dist/page', emptyOutDir: true, manifest: true, chunkSizeWarningLimit: 700 },
  server: {
    fs: { allow: ['..'] },
    proxy: {
      '/api': { target: SERVER, changeOrigin: true },
      '/ws': { target: SERVER, changeOrigin: true, ws: true },
    },
  },
  test: {
    environment: 'jsdom',
    // Laws try a hundred documents; a machine that does other things, too, needs its time for that.
    testTimeout: 60_000,
    setupFiles: ['src/setup-tests.ts'],
    coverage: {
      include: ['src/model/**'],
      exclude: ['**/*.test.*'],
      reporter: ['text'],
      thresholds: { lines: 95 },
    },
  },
});
