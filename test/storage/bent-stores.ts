import type { S3Client } from '@aws-sdk/client-s3';

/** What is seen of a call: the command's name, its input, and the request that goes to a real store. */
interface Call {
  readonly command: string;
  readonly input: Record<string, unknown>;
}

/** Lets the calls of a client reach the store without a header, as if the store ignored it. It goes before they are signed. */
function ignoring(client: S3Client, command: string, header: string): void {
  client.middlewareStack.add(
    (next, { commandName = '' }) =>
      (args) => {
        if (commandName === `${command}Command`) {
          const { headers } = args.request as { headers: Record<string, string> };
          for (const name of Object.keys(headers)) if (name.toLowerCase() === header) delete headers[name];
        }
        return next(args);
      },
    { step: 'build', priority: 'low' },
  );
}

/** Changes what calls are told, in place. */
function bending(
  client: S3Client,
  change: (call: Call, output: Record<string, unknown>) => void | Promise<void>,
): void {
  client.middlewareStack.add(
    (next, { commandName = '' }) =>
      async (args) => {
        const input = { ...args.input } as Record<string, unknown>;
        const result = await next(args);
        await change({ command: commandName.replace(/Command$/, ''), input }, result.output as never);
        return result;
      },
    { step: 'initialize', priority: 'high' },
  );
}

type Item = { Key?: string; LastModified?: Date };
const contents = (output: Record<string, unknown>) => (output.Contents ?? []) as Item[];

/**
 * Stores as there are, or were: a real one of which one thing is not so. Beside each the group and the check that find it
 * out.
 */
export const bentStores: Readonly<
  Record<string, { bend(client: S3Client): void; group: string; found: readonly string[]; also?: RegExp }>
> = {
  'ignores If-None-Match': {
    bend: (client) => ignoring(client, 'PutObject', 'if-none-match'),
    group: 'conditions',
    found: [
      'a key that is taken can not be created again (If-None-Match)',
      'an object that any write made can not be created again',
      'of 8 creations at once one wins, 3 times',
    ],
  },
  'ignores If-None-Match where parts are joined': {
    bend: (client) => ignoring(client, 'CompleteMultipartUpload', 'if-none-match'),
    group: 'parts',
    found: [
      'a file in parts can be created where its key is free, and not where it is taken (If-None-Match)',
      'of 3 creations in parts at once one wins',
    ],
  },
  'ignores If-Match of writes': {
    bend: (client) => ignoring(client, 'PutObject', 'if-match'),
    group: 'conditions',
    found: [
      'a version that is no longer there can not be replaced (If-Match)',
      'an object that was deleted can not be replaced (If-Match)',
      'of 8 replacements of one version at once one wins, 3 times',
      'four that count up by compare-and-swap lose no count',
    ],
  },
  'ignores If-Match of reads': {
    bend: (client) => ignoring(client, 'GetObject', 'if-match'),
    group: 'ranges',
    found: [
      'a range of an older version is refused (If-Match)',
      'a whole object of an older version is refused (If-Match)',
    ],
  },
  'ignores ranges': {
    bend: (client) => ignoring(client, 'GetObject', 'range'),
    group: 'ranges',
    found: [
      'a range within an object is those bytes',
      'the first byte alone can be read',
      'a range without an end goes to the end',
      'a range beyond the end stops there',
      'a range says how large the whole object is',
      'sixteen ranges at once are each right',
    ],
  },
  'ignores which version is to be copied': {
    bend: (client) => ignoring(client, 'CopyObject', 'x-amz-copy-source-if-match'),
    group: 'copies',
    found: ['an older version than the one that is there is not copied'],
  },
  'looks at no checksum': {
    bend(client) {
      for (const command of ['PutObject', 'UploadPart']) ignoring(client, command, 'x-amz-checksum-crc32');
      ignoring(client, 'CreateMultipartUpload', 'x-amz-checksum-algorithm');
    },
    group: 'checksums',
    found: [
      'a body with the CRC32 of another one is refused',
      'a part with the CRC32 of another one is refused',
      'the store keeps the CRC32 and gives it with the object',
    ],
  },
  'lists in no order': {
    bend: (client) => bending(client, (_, output) => void contents(output).reverse()),
    group: 'lists',
    found: [
      'a list is in the order of the bytes of its keys',
      'keys in folders are in that order too',
      'a list over several pages has each key once, in order',
      'pages go on after keys that a URL has to quote',
      'a list has what begins with its prefix alone',
    ],
  },
  'orders as a file system does, folder by folder': {
    bend: (client) =>
      bending(client, (_, output) => {
        const parts = ({ Key = '' }: Item) => Key.replaceAll('/', '\u0000');
        contents(output).sort((a, b) => (parts(a) < parts(b) ? -1 : 1));
      }),
    group: 'lists',
    found: ['keys in folders are in that order too', 'pages go on after keys that a URL has to quote'],
  },
  'loses a key at the end of each page': {
    bend: (client) =>
      bending(client, (_, output) => {
        if (output.IsTruncated) contents(output).pop();
      }),
    group: 'lists',
    found: ['a list over several pages has each key once, in order', 'pages go on after keys that a URL has to quote'],
  },
  'lists what was written a while ago': {
    bend: (client) => {
      const written = new Map<string, number>();
      bending(client, ({ command, input }, output) => {
        if (command === 'PutObject') written.set(String(input.Key), Date.now());
        if (command === 'ListObjectsV2')
          output.Contents = contents(output).filter(({ Key = '' }) => Date.now() - (written.get(Key) ?? 0) > 500);
      });
    },
    group: 'lists',
    found: ['what is written is listed at once, 20 times'],
    // Whatever lists what it has just written.
    also: /listed|order|page|prefix|sizes|quote/,
  },
  'lists a plus as a space': {
    bend: (client) =>
      bending(client, (_, output) => {
        for (const item of contents(output)) item.Key = item.Key?.replaceAll('+', ' ') as string;
      }),
    group: 'keys',
    found: ['a key may have a plus'],
  },
  'goes on telling that an object was missing': {
    bend: (client) => {
      const missing = new Set<unknown>();
      client.middlewareStack.add(
        (next, { commandName }) =>
          async (args) => {
            const { Key } = args.input as { Key?: string };
            const gone = Object.assign(new Error('NotFound'), {
              name: 'NotFound',
              $fault: 'client',
              $metadata: { httpStatusCode: 404 },
            });
            if (commandName === 'HeadObjectCommand' && missing.has(Key)) throw gone;
            return next(args).catch((error) => {
              if (commandName === 'HeadObjectCommand') missing.add(Key);
              throw error;
            });
          },
        { step: 'initialize' },
      );
    },
    group: 'objects',
    found: ['an object that was not there a moment ago is found once it is written'],
  },
  'forgets the content type': {
    bend: (client) => ignoring(client, 'PutObject', 'content-type'),
    group: 'objects',
    found: ['the content type is kept'],
  },
  'has a clock that is 20 minutes behind': {
    bend: (client) =>
      bending(client, (_, output) => {
        if (output.LastModified instanceof Date) output.LastModified = new Date(+output.LastModified - 20 * 60_000);
      }),
    group: 'bucket',
    found: ['the clocks of store and machine agree'],
  },
};
