/** What is typed into fields and is not in the document yet: forms put it there after a pause, and at once when it is saved. */
const forms = new Set<() => void | Promise<void>>();

/** Says how a form puts what is typed into the document; returns how it is no longer asked. */
export function onSettle(form: () => void | Promise<void>): () => void {
  forms.add(form);
  return () => void forms.delete(form);
}

/** Puts everything that is typed into the document now. */
export async function settleTyping(): Promise<void> {
  await Promise.all([...forms].map(async (form) => form()));
}
