import { tokenizerOf } from '../../data/example/compacted.ts';
import type { TextTokenizer } from '../../data/example/tokenizer.ts';
import type { Truth } from '../../data/example/truth.ts';
import { openSpeaker, type Speaker } from '../../model/decode-greedy.ts';
import { rowsOf } from '../../model/embed.ts';
import { patchesAt } from '../../model/features.ts';
import { type DecoderWeights, readDecoder } from '../../model/read-decoder.ts';
import type { ModelConfig } from '../../model/sizes.ts';
import type { CaptionTask } from '../../recipe/caption-tasks.ts';
import type { Said } from '../features/part-file.ts';
import type { SaidSpec } from '../features/spec.ts';
import { seenPatches, type View } from '../features/view.ts';
import { answersOf, givenFor, type Question } from './asking.ts';

/** A picture that the decoder is asked about. */
export interface Described {
  readonly truth: Truth;
  /** [width, height] in pixels. */
  readonly size: readonly [number, number];
}

/**
 * The trained decoder of a checkpoint, asked of each picture in the one pass over the data. It is on the device once for each
 * view: of B/16 with the whole vocabulary 1.8 GB, and keys and values of 64 texts, 0.8 GB at 256 patches.
 */
export class Saying {
  readonly #weights: DecoderWeights;
  readonly #spec: SaidSpec;
  readonly #tokenizer: TextTokenizer;
  readonly #speakers = new Map<View, Speaker>();

  private constructor(weights: DecoderWeights, spec: SaidSpec) {
    this.#weights = weights;
    this.#spec = spec;
    this.#tokenizer = tokenizerOf(weights.ids);
  }

  /** CheckpointDamaged. */
  static async open(folder: string, config: ModelConfig, spec: SaidSpec): Promise<Saying> {
    return new Saying(await readDecoder(folder, spec.files, config, spec), spec);
  }

  /** @param patches (n, N, D) of these pictures at the view */
  async say(
    view: View,
    patches: Float32Array,
    pictures: readonly Described[],
    pause: () => Promise<void>,
  ): Promise<Said[]> {
    const { config } = this.#weights;
    const looked = {
      encoded: patches,
      seen: seenPatches(
        config,
        view,
        pictures.map(({ size }) => size),
      ),
    };
    const ask = (questions: readonly Question[]) =>
      answersOf(this.#speakerAt(view), this.#tokenizer, config.text.length, looked, questions, pause);
    const asks = (task: CaptionTask) => this.#spec.tasks.includes(task);
    const captions = asks('captioning')
      ? await ask(pictures.map((_, picture) => ({ picture, given: givenFor('captioning') })))
      : null;
    const ofRegions = async (task: 'referring' | 'grounded') => {
      const questions = pictures.flatMap(({ truth: { regions = [] } }, picture) =>
        regions.map((region): Question => ({ picture, given: givenFor(task, region) })),
      );
      const answers = await ask(questions);
      return pictures.map((_, picture) => answers.filter((_, i) => questions[i]!.picture === picture));
    };
    const referring = asks('referring') ? await ofRegions('referring') : null;
    const grounded = asks('grounded') ? await ofRegions('grounded') : null;
    return pictures.map((_, i) => ({
      ...(captions && { captioning: captions[i]! }),
      ...(referring && { referring: referring[i]! }),
      ...(grounded && { grounded: grounded[i]! }),
    }));
  }

  /** Lets go of the device. */
  close(): void {
    for (const speaker of this.#speakers.values()) speaker.dispose();
    this.#speakers.clear();
  }

  #speakerAt(view: View): Speaker {
    const { config, values } = this.#weights;
    const patches = config.vision.kind === 'naflex' ? view : patchesAt(config, view);
    const known = this.#speakers.get(view);
    const speaker = known ?? openSpeaker(values, config, this.#spec, { batch: rowsOf(patches), patches });
    this.#speakers.set(view, speaker);
    return speaker;
  }
}
