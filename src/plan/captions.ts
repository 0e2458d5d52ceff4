import type { Census } from '../data/example/census.ts';
import { howToLook } from '../data/index/index-data.ts';
import { nearestLanguage } from '../recipe/languages.ts';
import type { Problem } from '../recipe/problem.ts';
import { counted, number } from '../runtime/count-text.ts';
import { printable } from '../runtime/printable.ts';

const mostNamed = 12;

/** A data set as a person asks for it, what was counted in it, and the languages that are wanted of it. */
export interface CaptionQuestion {
  /** Where the recipe names the data, and the languages. */
  readonly places: string;
  readonly field: string;
  /** The prefixes. */
  readonly prefix: string;
  readonly census: Census;
  readonly languages: readonly string[];
}

/** Why captions can't be trained on or evaluated on as the recipe wants it: in no example, or in none of a language. */
export function captionProblems({ places, field, prefix, census, languages }: CaptionQuestion): Problem[] {
  const { looked, whole, languages: counts, unusable } = census;
  const lost = sum([...unusable.values()].map(({ count }) => count));
  if (looked > 0 && lost === looked) {
    const [reason, { first }] = [...unusable][0]!;
    const message = `${places}: none of the ${counted(looked, 'example')} ${whole ? '' : 'that were looked at '}below ${prefix}/ can be used: ${reason} (${first}); ${howToLook(prefix.split(', ')[0]!)}`;
    return [{ fields: [places], message, code: 'DataContract' }];
  }
  // What a few have may be missing from those that were looked at.
  if (!whole) return [];
  const known = byCount(counts);
  // That there is nothing else beside the languages that are named is no mistake.
  const missing = absent(census, languages).filter((language) => language !== 'other' || languages.length === 1);
  return missing.map((language) => {
    const near = nearestLanguage(language, known);
    const message = `${field} names "${language}", which no example below ${prefix}/ has; ${near ? `did you mean "${near}"? ` : ''}they have ${languagesLine(census)}`;
    return { fields: [field], message, code: 'DataContract' as const, mild: true };
  });
}

/** What no run is refused for. */
export function captionNotes({ places, field, prefix, census, languages }: CaptionQuestion): string[] {
  const { looked, whole, unusable } = census;
  const notes: string[] = [];
  const lost = sum([...unusable.values()].map(({ count }) => count));
  const [most] = [...unusable].sort(([, a], [, b]) => b.count - a.count);
  if (lost > 0 && lost < looked && most)
    notes.push(
      `${places}: ${number(lost)} of ${number(looked)} examples below ${prefix}/ can't be used${unusable.size > 1 ? ', most of them because' : ''}: ${most[0]} (${most[1].first})`,
    );
  for (const language of absent(census, languages)) {
    if (!whole)
      notes.push(
        `${field}: none of the ${number(looked)} examples that were looked at below ${prefix}/ has "${language}"`,
      );
    else if (language === 'other' && languages.length > 1)
      notes.push(`${field} names "other", and no example below ${prefix}/ has a language that is not named`);
  }
  return notes;
}

/** Languages of which there is nothing. `other` is any that is not named. */
function absent({ languages: counts }: Census, languages: readonly string[]): string[] {
  const rest = [...counts.keys()].some((language) => !languages.includes(language));
  return languages.filter((language) => (language === 'other' ? !rest : !counts.has(language)));
}

const byCount = (counts: Census['languages']) =>
  [...counts].sort(([a, n], [b, m]) => m - n || (a < b ? -1 : 1)).map(([language]) => language);

/** "en 628, de 628, fr 12 of 628 examples". */
export function languagesLine({ languages, looked, whole }: Census): string {
  const named = byCount(languages);
  const shown = named.slice(0, mostNamed).map((key) => `${printable(key.slice(0, 30))} ${number(languages.get(key)!)}`);
  if (named.length > mostNamed) shown.push(counted(named.length - mostNamed, 'other'));
  return `${shown.join(', ') || 'none'} of ${counted(looked, 'example')}${whole ? '' : ' that were looked at'}`;
}

const sum = (numbers: readonly number[]) => numbers.reduce((a, b) => a + b, 0);
