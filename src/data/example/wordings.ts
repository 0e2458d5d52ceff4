import { filled, type ReadSettings, templatesOf } from '../../recipe/reading.ts';

interface WordingSettings {
  readonly read: ReadSettings | undefined;
  /** Whether a decoder says the texts too. */
  readonly captioning: boolean;
  /** Whether each text may be drawn by itself, not the label and its tags alone. */
  readonly single: boolean;
}

/** What stands next to a text: the words of a template that touch it. */
interface Frame {
  readonly before: string;
  readonly after: string;
}

/**
 * Texts that between them hold every token of what may be trained on: `words` those of the templates, `wordings` those of
 * an example's captions in a language (`fields`: the number of the field of each). A token lies within a word and the
 * blanks around it, so of a template only the neighbours of its text matter, which few templates have differently.
 */
export function wordingsOf({ read, captioning, single }: WordingSettings): {
  readonly words: readonly string[];
  wordings(captions: readonly string[], fields?: readonly number[]): Generator<string>;
} {
  const starts = captioning ? ['', 'Cap: '] : [''];
  const lists = [read?.templates, ...(read?.fields ?? []).map(({ templates }) => templates)];
  const templates = new Set(lists.flatMap((list) => list ?? []));
  const words = [...templates].flatMap((template) => starts.map((start) => `${start}${filled(template, 'x')}`));
  const framesOfField = new Map<number | undefined, readonly Frame[]>();
  const framesOf = (field: number | undefined): readonly Frame[] => {
    const known = framesOfField.get(field) ?? framesIn(templatesOf(read, field), starts);
    framesOfField.set(field, known);
    return known;
  };
  return {
    words,
    *wordings(captions, fields) {
      for (const [i, text] of captions.entries()) {
        for (const { before, after } of framesOf(fields?.[i])) {
          if (i === 0 || single) yield `${before}${text}${after}`;
          // Tags follow one another in any order: each comes after a comma, and ends the text or has one behind it.
          if (i === 0 || fields) yield `${before}${text},`;
          if (i > 0) yield `, ${text}${after}`;
        }
        if (i > 0) yield `, ${text},`;
      }
    },
  };
}

function framesIn(templates: readonly string[] | undefined, starts: readonly string[]): Frame[] {
  const frames = new Map<string, Frame>();
  for (const template of templates ?? ['{}']) {
    for (const start of starts) {
      const [head, tail] = `${start}${template}`.split('{}') as [string, string];
      const frame = { before: /\s?\S*\s*$/.exec(head)![0], after: /^\s*\S*/.exec(tail)![0] };
      frames.set(JSON.stringify(frame), frame);
    }
  }
  return [...frames.values()];
}
