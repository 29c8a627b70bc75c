/** What a form's fields know of the form around them. */
export interface FormContext {
  /** The node whose configuration it is. */
  node?: string;
  /** The server's problems by field. */
  problems?: Record<string, string[]>;
}
