/** An icon set that draws the Unicode emoji in one hand. */
export interface EmojiStyle {
  readonly name: string;
  /** npm package with icons.json, info.json and chars.json. */
  readonly package: string;
}

const style = (name: string): EmojiStyle => ({ name, package: `@iconify-json/${name}` });

export const trainStyles: readonly EmojiStyle[] = ['noto', 'noto-v1', 'twemoji', 'openmoji', 'emojione'].map(style);

/**
 * Never trained on. It was drawn by other people than the five above, covers most concepts, is MIT, and has no
 * country flags: those are the same picture in every style, so that to know them would not be generalisation.
 */
export const heldOutStyle: EmojiStyle = style('fluent-emoji-flat');
