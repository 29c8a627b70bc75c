/** Cuts a stream of server-sent events into records. */

export interface SentRecord {
  event: string;
  data: string;
}

export class Records {
  #rest = '';

  /** Returns the records that are whole by now. */
  read(piece: string): SentRecord[] {
    const parts = (this.#rest + piece).replaceAll('\r\n', '\n').split('\n\n');
    this.#rest = parts.pop() ?? '';
    return parts.flatMap((part) => {
      const fields = part.split('\n').map((line) => /^(\w+): ?(.*)$/.exec(line));
      const of = (name: string) =>
        fields.filter((field) => field?.[1] === name).map((field) => field?.[2] ?? '');
      const data = of('data');
      return data.length > 0 ? [{ event: of('event')[0] ?? 'message', data: data.join('\n') }] : [];
    });
  }
}
