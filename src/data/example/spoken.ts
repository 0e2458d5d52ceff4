import type { DataSettings } from '../../recipe/schema.ts';
import type { ExampleMeta } from './types.ts';

/** Whether an example has a text in one of these languages, as `chooseCaption` looks for it. */
export function speaksAny({ captions }: ExampleMeta, wanted: DataSettings['captions']): boolean {
  const named = new Set(wanted.map(({ language }) => language));
  return wanted.some(({ language }) =>
    language === 'other' ? Object.keys(captions).some((own) => !named.has(own)) : captions[language] !== undefined,
  );
}

/** An example as if it had no texts in these languages. */
export function speakingWithout(meta: ExampleMeta, languages: ReadonlySet<string>): ExampleMeta {
  const left = Object.entries(meta.captions).filter(([language]) => !languages.has(language));
  return { ...meta, captions: Object.fromEntries(left) };
}
