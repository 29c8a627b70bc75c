/** Reads and writes YAML. Documents come and go as JSON, which keeps numbers as they are written. */
import type { Definition } from '../model/document';
import { parse, write } from '../model/lossless';
import { follow, fresh, placesOf, read, type Mistake, type Place } from '../model/yaml';

export type Ask =
  | { do: 'read'; text: string }
  | { do: 'follow'; text: string; json: string }
  | { do: 'fresh'; json: string }
  | { do: 'places'; text: string; paths: string[] };

export interface Answer {
  text?: string;
  json?: string | null;
  isKept?: boolean;
  mistakes?: Mistake[];
  places?: Place[];
}

function answerOf(ask: Ask): Answer {
  switch (ask.do) {
    case 'read': {
      const { document, mistakes } = read(ask.text);
      return { json: document && write(document), mistakes };
    }
    case 'follow':
      return follow(ask.text, parse(ask.json) as Definition);
    case 'fresh':
      return { text: fresh(parse(ask.json) as Definition) };
    case 'places':
      return { places: placesOf(ask.text, ask.paths) };
  }
}

addEventListener('message', ({ data: { id, ask } }: MessageEvent<{ id: number; ask: Ask }>) =>
  postMessage({ id, answer: answerOf(ask) }),
);
