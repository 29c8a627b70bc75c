/** What is typed into fields and is not in the document yet: forms put it there after a pause, and at once when it is saved. */
const forms = new Set<() => void>();

/** Says how a form puts what is typed into the document; returns how it is no longer asked. */
export function onSettle(form: () => void): () => void {
  forms.add(form);
  return () => void forms.delete(form);
}

/** Puts everything that is typed into the document now. */
export function settleTyping(): void {
  for (const form of forms) form();
}
