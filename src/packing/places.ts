import { unprintable } from '../runtime/printable.ts';

/** Where tables name pictures, as a key of the bucket; or what is wrong with the name. */
export type Resolved = { readonly key: string } | { readonly fault: string };

/** What a table with addresses on the web is answered with. */
export const urlsRefused =
  'pictures are named by addresses on the web (http), and nothing but the bucket is read: img2dataset fetches them into shards, which siglip2 data look reads as they are';

/**
 * The key of a picture that a row of a table names: below `folder`, or s3://BUCKET/KEY of the same bucket. Names come from
 * strangers: none leads out of its folder.
 */
export function pictureKey(said: string, folder: string, bucket: string): Resolved {
  const name = said.trim();
  if (name === '') return { fault: 'no picture is named' };
  if (name.length > 1024) return { fault: `the name of the picture has ${name.length} characters, at most 1024` };
  if (/^https?:\/\//i.test(name))
    return { fault: 'the picture is named by an address on the web: img2dataset fetches those' };
  const own = `s3://${bucket}/`;
  const within = name.startsWith(own) ? name.slice(own.length) : name;
  if (/^[A-Za-z][A-Za-z0-9+.-]*:\/\//.test(within))
    return { fault: `the picture lies elsewhere: only s3://${bucket}/ is read` };
  if (/^[/\\]|^[A-Za-z]:[/\\]/.test(within)) return { fault: 'the name of the picture is an absolute path' };
  if (within.includes('\\')) return { fault: 'the name of the picture has a backslash' };
  const parts = within.split('/').filter((part) => part !== '.' && part !== '');
  if (parts.includes('..')) return { fault: 'the name of the picture leads out of its folder' };
  if (within.replace(unprintable, '') !== within) return { fault: 'the name of the picture has control characters' };
  if (parts.length === 0) return { fault: 'no picture is named' };
  const inner = parts.join('/');
  return { key: within !== name || folder === '' ? inner : `${folder}/${inner}` };
}

/** The folder of a key, without / at its end. */
export const folderOf = (key: string): string => key.slice(0, Math.max(0, key.lastIndexOf('/')));
