import { join } from 'node:path';
import { type EmojiDataset, makeEmojiDataset } from '../../infra/emoji/make.ts';
import { type Services, startServices } from '../../infra/services/start.ts';
import { createProgress } from '../../infra/setup/progress.ts';
import { S3ObjectStore } from '../../src/storage/s3.ts';
import { withFolder } from './temporary-folder.ts';

/** The services of `npm run up` in a folder of their own, with real pictures in the bucket. */
export interface Site {
  readonly folder: string;
  readonly services: Services;
  readonly store: S3ObjectStore;
  readonly data: EmojiDataset;
  /** For whatever finds its store in the environment; scratch and state are this site's own. */
  readonly env: NodeJS.ProcessEnv;
}

/** Runs `use` on a site that is gone afterwards. `concepts` emoji in five styles are trained on. */
export async function withSite<T>(
  { worker, concepts }: { readonly worker: boolean; readonly concepts: number },
  use: (site: Site) => Promise<T>,
): Promise<T> {
  const only = worker ? (['temporal', 's3'] as const) : (['s3'] as const);
  return withFolder(async (folder) => {
    const own = { SIGLIP2_STATE: folder, SIGLIP2_SCRATCH: join(folder, 'scratch') };
    const services = await startServices({
      folder,
      only,
      worker,
      ports: 'free',
      progress: createProgress(),
      environment: own,
    });
    try {
      const store = new S3ObjectStore(services.s3!);
      try {
        const data = await makeEmojiDataset(store, { concepts });
        return await use({ folder, services, store, data, env: { ...process.env, ...services.environment, ...own } });
      } finally {
        store.close();
      }
    } finally {
      await services.stop();
    }
  });
}
