import type { Found } from './contract.ts';

/** What was found in several languages as one: outcomes have their languages in their paths already. */
export function byLanguage(found: readonly (readonly [language: string, Found])[]): Found {
  return {
    figures: { by_language: Object.fromEntries(found.map(([language, { figures }]) => [language, figures])) },
    notes: found.flatMap(([language, { notes }]) => notes.map((note) => `${language}: ${note}`)),
    outcomes: Object.assign({}, ...found.map(([, { outcomes }]) => outcomes)),
  };
}
