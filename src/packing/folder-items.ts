import type { ObjectStore } from '../storage/object-store.ts';
import type { PackSettings } from './settings.ts';
import { isPicture, type Survey } from './survey.ts';
import type { Item } from './types.ts';

export type FolderTexts = NonNullable<PackSettings['texts']>;

/** As the names show it: texts beside the pictures, else a class a folder, else names of files. */
export function textsOfFolder({ pictures, txt, inFolders, folders }: Survey): FolderTexts {
  if (txt > 0 && txt >= pictures / 2) return 'txt';
  return folders > 1 && inFolders === pictures ? 'class' : 'name';
}

/** The pictures below a prefix, in the order of their keys. */
export async function* folderItems(
  store: Pick<ObjectStore, 'list'>,
  { from, language }: PackSettings,
  texts: FolderTexts,
): AsyncGenerator<Item> {
  for await (const { key, bytes, etag } of store.list(`${from}/`)) {
    const name = key.slice(from.length + 1);
    if (key.endsWith('/') || !isPicture(name)) continue;
    const found = { name, key, bytes, etag };
    if (texts === 'txt') {
      yield { ...found, txt: key.replace(/\.[^./]+$/, '.txt') };
      continue;
    }
    const parts = name.split('/');
    const said = texts === 'class' ? parts.at(-2) : parts.at(-1)!.replace(/\.[^.]+$/, '');
    const text = (said ?? '').replaceAll(/[_+\s-]+/g, ' ').trim();
    if (!/\p{L}/u.test(text))
      yield {
        ...found,
        fault: said === undefined ? 'the picture lies in no folder of a class' : 'the name says nothing',
      };
    else {
      const concept = texts === 'class' ? { concept: said! } : {};
      yield { ...found, meta: { key: name, captions: { [language]: [text] }, ...concept } };
    }
  }
}
