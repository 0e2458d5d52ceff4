/** A field that is not the same in two settings. */
export interface SettingDifference {
  readonly at: string;
  readonly theirs: unknown;
  readonly ours: unknown;
}

/** Every field that differs, by its path. */
export function settingDifferences(theirs: unknown, ours: unknown, at = ''): SettingDifference[] {
  if (!isObject(theirs) || !isObject(ours))
    return JSON.stringify(theirs) === JSON.stringify(ours) ? [] : [{ at, theirs, ours }];
  return [...new Set([...Object.keys(theirs), ...Object.keys(ours)])].flatMap((name) =>
    settingDifferences(theirs[name], ours[name], at === '' ? name : `${at}.${name}`),
  );
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** A value as JSON of at most 60 characters. */
export function briefJson(value: unknown): string {
  const text = JSON.stringify(value) ?? 'nothing';
  return text.length <= 60 ? text : `${text.slice(0, 57)}...`;
}
