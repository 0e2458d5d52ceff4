import { bareHexcode, type Concept } from './concepts.ts';
import { packageJson } from './packages.ts';
import { type EmojiStyle, heldOutStyle, trainStyles } from './styles.ts';

/** The parts of iconify's `icons.json` that these sets use. */
interface IconSet {
  readonly width: number;
  readonly height: number;
  readonly icons: Readonly<Record<string, { body: string; width?: number; height?: number }>>;
  readonly aliases?: Readonly<Record<string, { parent: string; hFlip?: boolean }>>;
}

type Characters = Readonly<Record<string, string>>;

/** An SVG document of 64 by 64 pixels by bare hexcode. */
export function readStyle(style: EmojiStyle, concepts: readonly Concept[], names: IconNames): Map<string, string> {
  const set = packageJson<IconSet>(`${style.package}/icons.json`);
  const characters = packageJson<Characters>(`${style.package}/chars.json`);
  const drawings = new Map<string, string>();
  const wanted = new Set(concepts.map(({ hexcode }) => bareHexcode(hexcode)));
  const named = [...Object.keys(set.icons), ...Object.keys(set.aliases ?? {})];
  const pairs = Object.keys(characters).length
    ? Object.entries(characters).map(([hexcode, name]) => [bareHexcode(hexcode), name] as const)
    : named.map((name) => [names.get(name), name] as const);
  for (const [hexcode, name] of pairs) {
    if (hexcode === undefined || !wanted.has(hexcode) || drawings.has(hexcode)) continue;
    const svg = document(set, name);
    if (svg) drawings.set(hexcode, svg);
  }
  return drawings;
}

function document(set: IconSet, name: string): string | null {
  const alias = set.aliases?.[name];
  const icon = set.icons[alias?.parent ?? name];
  if (!icon) return null;
  const width = icon.width ?? set.width;
  const height = icon.height ?? set.height;
  const body = alias?.hFlip ? `<g transform="translate(${width} 0) scale(-1 1)">${icon.body}</g>` : icon.body;
  return (
    '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" ' +
    `width="64" height="64" viewBox="0 0 ${width} ${height}">${body}</svg>`
  );
}

/** Bare hexcode by icon name; ambiguous names are left out. */
export type IconNames = ReadonlyMap<string, string>;

/**
 * Iconify names an emoji alike in every set, after Unicode's name for it. The older sets have an empty chars.json:
 * their names are looked up among the names of the others, the labels of emojibase, and the aliases of any set
 * (which join a name of an older Unicode version to the current one).
 */
export function readIconNames(concepts: readonly Concept[]): IconNames {
  const wanted = new Set(concepts.map(({ hexcode }) => bareHexcode(hexcode)));
  const found = new Map<string, Set<string>>();
  const add = (name: string, hexcode: string) => {
    if (wanted.has(hexcode)) found.set(name, (found.get(name) ?? new Set()).add(hexcode));
  };
  for (const { hexcode, captions } of concepts) {
    const label = captions.en?.[0] ?? '';
    add(slug(label), bareHexcode(hexcode));
    // Emoji 2.0 wrote "flag for Chad" where Unicode now writes "flag: Chad"; noto-v1 doubles the word in some.
    if (label.startsWith('flag: ')) {
      add(slug(label.replace('flag:', 'flag for')), bareHexcode(hexcode));
      add(slug(label.replace('flag:', 'flag for flag')), bareHexcode(hexcode));
    }
  }
  const sets = [...trainStyles, heldOutStyle];
  for (const { package: name } of sets) {
    const characters = packageJson<Characters>(`${name}/chars.json`);
    for (const [hexcode, icon] of Object.entries(characters)) add(icon, bareHexcode(hexcode));
  }
  // Names are joined within one step: a chain of aliases over several sets would join things that differ.
  const own = new Map(found);
  for (const { package: name } of sets) {
    for (const [alias, { parent, hFlip }] of Object.entries(packageJson<IconSet>(`${name}/icons.json`).aliases ?? {})) {
      if (hFlip) continue;
      if (!own.has(alias)) for (const hexcode of own.get(parent) ?? []) add(alias, hexcode);
      if (!own.has(parent)) for (const hexcode of own.get(alias) ?? []) add(parent, hexcode);
    }
  }
  return new Map([...found].filter(([, codes]) => codes.size === 1).map(([name, [code]]) => [name, code!]));
}

function slug(label: string): string {
  return label
    .normalize('NFD')
    .replace(/[\u0300-\u036f’'.“”()!]/g, '')
    .replace('&', ' and ')
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-|-$/g, '');
}
