import js from '@eslint/js';
import prettier from 'eslint-config-prettier';
import a11y from 'eslint-plugin-jsx-a11y-x';
import hooks from 'eslint-plugin-react-hooks';
import globals from 'globals';
import ts from 'typescript-eslint';

/** What a folder may not import, and why. */
const zone = (folder, group, message) => ({
  files: [`src/${folder}/**/*.{ts,tsx}`],
  ignores: ['**/*.test.{ts,tsx}'],
  rules: { '@typescript-eslint/no-restricted-imports': ['error', { patterns: [{ group, message }] }] },
});

export default ts.config(
  { ignores: ['dist', 'coverage', 'src/services/schema.ts'] },
  js.configs.recommended,
  {
    files: ['src/**/*.{ts,tsx}'],
    extends: [ts.configs.strictTypeChecked, ts.configs.stylisticTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      // `onClick={() => save()}` reads better than a block.
      '@typescript-eslint/no-confusing-void-expression': 'off',
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
    },
  },
  {
    files: ['src/**/*.tsx'],
    plugins: { 'jsx-a11y-x': a11y },
    rules: a11y.configs.recommended?.rules ?? a11y.flatConfigs?.recommended?.rules ?? {},
  },
  hooks.configs.flat['recommended-latest'] ?? hooks.configs['recommended-latest'],
  zone('model', ['../*', '!../model', 'react', 'react-*', '@mantine/*', '@reduxjs/*'], 'model/ is pure'),
  zone('services', ['**/components/**', '**/app/**'], 'services know no components'),
  { files: ['e2e/**', 'scripts/**', '*.js', '*.ts'], languageOptions: { globals: globals.node } },
  prettier,
);
