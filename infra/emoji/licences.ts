import { packageJson } from './packages.ts';
import { heldOutStyle, trainStyles } from './styles.ts';

interface IconSetInfo {
  readonly name: string;
  readonly author: { readonly name: string; readonly url?: string };
  readonly license: { readonly title: string; readonly spdx?: string; readonly url?: string };
}

/** The notices that go with the pictures, wherever they go. */
export function licences(): string {
  const lines = [...trainStyles, heldOutStyle].map(({ package: name }) => {
    const { name: title, author, license } = packageJson<IconSetInfo>(`${name}/info.json`);
    const { version } = packageJson<{ version: string }>(`${name}/package.json`);
    const by = author.url ? `[${author.name}](${author.url})` : author.name;
    const terms = license.url ? `[${license.title}](${license.url})` : license.title;
    return `- **${title}** by ${by}, ${terms}; from npm package ${name} ${version}. Changes: drawn as PNG, 64 by 64 pixels, on white.`;
  });
  const { version } = packageJson<{ version: string }>('emojibase-data/package.json');
  return [
    '# Licences of the emoji data set',
    '',
    'Each picture keeps the licence of its set (`style` in the JSON beside it names the set):',
    '',
    ...lines,
    '',
    `Labels and tags: [emojibase-data](https://emojibase.dev) ${version} by Miles Johnson, MIT; from the Unicode CLDR (Unicode License).`,
    '',
  ].join('\n');
}
