import { readFile } from 'node:fs/promises';
import { openIndex } from '../../data/index/open-index.ts';
import type { ShardStore } from '../../data/index/part-reader.ts';
import { patientReads } from '../../data/index/patient-store.ts';
import type { StoredIndex } from '../../data/index/types.ts';
import { type FeatureModel, openFeatureModel } from '../../model/features.ts';
import { hashJson } from '../../runtime/hash.ts';
import { objectStoreFromEnvironment } from '../../storage/s3.ts';
import { Saying } from '../decoder/saying.ts';
import { embedClasses } from './embed-classes.ts';
import { embedImages } from './embed-images.ts';
import type { EmbeddedPart, EmbedEvents, EmbedJob } from './job.ts';

/** Makes parts of features one after another, keeping the model on the device while the next part is for the same one. */
export class Embedding {
  #held: { readonly of: string; readonly model: FeatureModel; readonly saying: Saying | null } | null = null;

  /**
   * One part: a pure function of model, spec and number. Null when it was stopped. Errors: DataContract,
   * CheckpointDamaged, NonFinite, DiskFull.
   */
  async embed(
    job: EmbedJob,
    events: EmbedEvents,
    source: ShardStore = objectStoreFromEnvironment(),
  ): Promise<EmbeddedPart | null> {
    if (events.signal.aborted) return null;
    const { model, saying } = await this.#open(job);
    if ('classes' in job.of) return embedClasses(job, job.of.classes, model, events);
    const store = patientReads(source, events.note);
    const index = openIndex(JSON.parse(await readFile(job.of.indexFile, 'utf8')) as StoredIndex, store);
    return embedImages(job, job.of.images, { model, saying }, { store, index }, events);
  }

  /** Lets go of the device. */
  close(): void {
    this.#held?.model.dispose();
    this.#held?.saying?.close();
    this.#held = null;
  }

  async #open({
    folder,
    model,
    of,
  }: EmbedJob): Promise<{ readonly model: FeatureModel; readonly saying: Saying | null }> {
    const spec = 'images' in of ? of.images : of.classes;
    const said = 'images' in of ? of.images.said : undefined;
    const options = {
      sizes: 'images' in of ? of.images.views : [],
      patches: 'images' in of && (of.images.patches || said !== undefined),
      aligned: 'images' in of && of.images.aligned === true,
      ...('images' in of && of.images.rows === 'raw' && { rawTexts: true }),
    };
    const key = hashJson({ sha256: spec.model.sha256, model, options, said: said ?? null });
    if (this.#held?.of !== key) {
      this.close();
      const opened = await openFeatureModel(folder, model, options);
      this.#held = { of: key, model: opened, saying: said ? await Saying.open(folder, model, said) : null };
    }
    return this.#held;
  }
}
