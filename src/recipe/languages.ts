/**
 * A well-formed language tag (RFC 5646: language, script, region, variants, extensions, private use), what recipes of
 * before could say, or `other`. The languages of two and three letters are all that there are: a longer word is a name.
 */
export const languagePattern =
  /^([A-Za-z]{2,3}(-[A-Za-z]{3}){0,3}(-[A-Za-z]{4})?(-([A-Za-z]{2}|\d{3}))?(-([A-Za-z0-9]{5,8}|\d[A-Za-z0-9]{3}))*(-[0-9A-WYZa-wyz](-[A-Za-z0-9]{2,8})+)*(-[Xx](-[A-Za-z0-9]{1,8})+)?|[a-z]{2,3}-[A-Za-z]+|other)$/;

/** As the standard writes it, eng as en and ZH-cn as zh-CN; what is no tag stays. */
function canonical(tag: string): string {
  const joined = tag.replaceAll('_', '-');
  try {
    return Intl.getCanonicalLocales(joined)[0] ?? joined;
  } catch {
    return joined.toLowerCase();
  }
}

/**
 * The language that was probably meant, of those that there are: the same in other words, else one with the same first
 * part, such as zh-CN for zh. Null when there is none. Tags are compared letter by letter everywhere else, since they
 * are the keys of the captions.
 */
export function nearestLanguage(tag: string, known: readonly string[]): string | null {
  const meant = canonical(tag);
  const [primary] = meant.split('-', 1);
  return (
    known.find((other) => canonical(other) === meant) ??
    known.find((other) => canonical(other).split('-', 1)[0] === primary) ??
    null
  );
}
