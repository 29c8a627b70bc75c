/** Colours for expressions and templates. What they mean is the server's to say. */
import { StreamLanguage, type StreamParser } from '@codemirror/language';

interface Place {
  /** Inside of braces. */
  inside: boolean;
}

const WORDS = /^(?:and|or|not|in|is|if|else|elif|endif|for|endfor|set|true|false|none)\b/;

const parser = (isTemplate: boolean): StreamParser<Place> => ({
  name: isTemplate ? 'template' : 'expression',
  startState: () => ({ inside: !isTemplate }),
  token: (stream, place) => {
    if (!place.inside) {
      if (stream.match(/^\{[{%]-?/)) {
        place.inside = true;
        return 'brace';
      }
      stream.next();
      stream.match(/^[^{]+/);
      return null;
    }
    if (isTemplate && stream.match(/^-?[%}]\}/)) {
      place.inside = false;
      return 'brace';
    }
    if (stream.eatSpace()) return null;
    if (stream.match(/^"(?:[^"\\]|\\.)*"?/) || stream.match(/^'(?:[^'\\]|\\.)*'?/)) return 'string';
    if (stream.match(/^\d+(?:\.\d+)?/)) return 'number';
    if (stream.match(WORDS)) return 'keyword';
    if (stream.match(/^[A-Za-z_]\w*/)) return 'variableName';
    stream.next();
    return null;
  },
});

export const template = StreamLanguage.define(parser(true));
export const expression = StreamLanguage.define(parser(false));
