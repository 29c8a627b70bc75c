import { createTheme, type CSSVariablesResolver } from '@mantine/core';

export const theme = createTheme({
  primaryColor: 'indigo',
  primaryShade: { light: 7, dark: 8 },
  autoContrast: true,
  respectReducedMotion: true,
  defaultRadius: 'sm',
  // Its name counts only with a role.
  components: { Loader: { defaultProps: { role: 'status' } } },
  fontFamily: 'system-ui, -apple-system, "Segoe UI", Roboto, sans-serif',
  fontFamilyMonospace: 'ui-monospace, "SF Mono", Menlo, Consolas, monospace',
  headings: {
    fontWeight: '600',
    sizes: { h1: { fontSize: '20px' }, h2: { fontSize: '16px' }, h3: { fontSize: '14px' } },
  },
});

/** What is dimmed by default can't be read by everybody: 4.5:1 against its ground in both schemes. */
export const variables: CSSVariablesResolver = () => ({
  variables: {},
  light: {
    '--mantine-color-dimmed': '#57606a',
    '--mantine-color-placeholder': '#6b7480',
    '--mantine-color-error': '#c92a2a',
  },
  dark: {
    // Of the page's own grounds, which are not grey.
    '--mantine-color-dark-8': '#14171c',
    '--mantine-color-dark-7': '#1c2026',
    '--mantine-color-dark-6': '#22272e',
    '--mantine-color-dark-5': '#2b3139',
    '--mantine-color-dark-4': '#39404a',
    '--mantine-color-dimmed': '#a9b1ba',
    '--mantine-color-placeholder': '#949ca5',
    '--mantine-color-error': '#ff8787',
  },
});
