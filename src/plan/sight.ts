import { byName } from '../recipe/parse.ts';
import { addProblems, type Problem, problemsError, touches } from '../recipe/problem.ts';
import { type ErrorCode, isRunnerError, type RunnerError } from '../runtime/errors.ts';

/** What is wrong with what was looked at; another error says that it could not be looked at. */
const wrong: ReadonlySet<ErrorCode> = new Set(['RecipeInvalid', 'DataContract', 'ObjectMissing', 'CheckpointDamaged']);

/** What comes to light when a recipe is held against the bucket: everything at once, and nothing twice. */
export class Sight {
  readonly problems: Problem[] = [];
  /** What no run is refused for, and a person should know. */
  readonly notes: string[] = [];
  /** Why the bucket was not looked at to the end. */
  unseen: RunnerError | null = null;
  /** What is looked at. */
  readonly #json: unknown;

  constructor(json: unknown) {
    this.#json = json;
  }

  add(problems: readonly Problem[]): void {
    addProblems(this.problems, byName(problems, this.#json));
  }

  /**
   * What a look finds; undefined where it found a mistake, where one of the fields that it goes by is wrong already, and
   * once the store has failed.
   */
  async see<T>(fields: readonly string[], look: () => Promise<T>): Promise<T | undefined> {
    if (this.unseen !== null || this.isWrong(fields)) return undefined;
    try {
      return await look();
    } catch (error) {
      if (!isRunnerError(error)) throw error;
      if (!wrong.has(error.code)) this.unseen = error;
      else this.add([{ fields, message: error.message, ...(error.code !== 'RecipeInvalid' && { code: error.code }) }]);
      return undefined;
    }
  }

  isWrong(fields: readonly string[]): boolean {
    return this.problems.some((problem) => !problem.mild && touches(problem.fields, fields));
  }

  /**
   * Throws what stands in the way of a run.
   * @param begun whether a run of this name has begun with this recipe: what releases of before trained goes on
   */
  require(begun = false): void {
    const serious = this.problems.filter(({ mild }) => !(begun && mild));
    if (serious.length > 0) throw problemsError(serious);
    if (this.unseen !== null) throw this.unseen;
  }
}
