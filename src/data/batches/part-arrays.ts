import type { BatchPlan } from '../../recipe/batch-plan.ts';
import type { BatchPart, PartArray, PartExample, PartValues } from './batch-part.ts';
import { batchParts } from './batch-parts.ts';

const constructors = { uint8: Uint8Array, int32: Int32Array, float32: Float32Array };

/** The arrays of a batch of a plan, filled example by example. */
export class PartArrays {
  readonly #plan: BatchPlan;
  readonly #parts: { part: BatchPart<unknown>; settings: unknown; arrays: Readonly<Record<string, PartArray>> }[];
  readonly values: Readonly<Record<string, PartValues>>;

  constructor(plan: BatchPlan, count: number) {
    this.#plan = plan;
    const known: Readonly<Record<string, BatchPart<unknown>>> = batchParts;
    this.#parts = Object.entries(plan.parts ?? {}).flatMap(([name, settings]) => {
      const part = known[name];
      if (part === undefined || settings === undefined) return [];
      return [{ part, settings, arrays: part.arrays(settings, plan) }];
    });
    this.values = Object.fromEntries(
      this.#parts.flatMap(({ arrays }) =>
        Object.entries(arrays).map(([name, { dtype, size }]) => [name, new constructors[dtype](count * size)]),
      ),
    );
  }

  /** Fills place `i` of the batch. */
  async fill(i: number, example: PartExample): Promise<void> {
    for (const { part, settings, arrays } of this.#parts) {
      const own = Object.entries(arrays).map(([name, { size }]) => {
        // An example that turned out corrupt may have left something in this place.
        const place = this.values[name]!.subarray(i * size, (i + 1) * size).fill(0);
        return [name, place];
      });
      await part.fill(example, settings, this.#plan, Object.fromEntries(own));
    }
  }
}
