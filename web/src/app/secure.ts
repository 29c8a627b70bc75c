/** What the page's own content security policy asks of it: a nonce for its styles, and nothing that makes elements of text. */

interface Policies {
  createPolicy: (
    name: string,
    rules: { createHTML: (text: string) => string; createScriptURL: (url: string) => string },
  ) => unknown;
}

export const nonce = (): string =>
  document.querySelector<HTMLMetaElement>('meta[property="csp-nonce"]')?.nonce ?? '';

export function secure(): void {
  // Modals lock the scrolling of the page by a style of their own, which takes the nonce from here.
  (globalThis as { __webpack_nonce__?: string }).__webpack_nonce__ = nonce();
  const { trustedTypes } = globalThis as { trustedTypes?: Policies };
  // React hands CSS to `innerHTML`. CSS has no `<`, and a text without one can't make an element.
  trustedTypes?.createPolicy('default', {
    createHTML: (text) => {
      if (/[<&]/.test(text)) throw new TypeError('text is no HTML here');
      return text;
    },
    // A worker is a file that was built with the page.
    createScriptURL: (url) => {
      const { origin, pathname } = new URL(url, location.href);
      if (origin !== location.origin || !pathname.startsWith('/assets/'))
        throw new TypeError('no script of ours');
      return url;
    },
  });
}
