import type { ErrorCode } from '../runtime/errors.ts';
import { RunnerError } from '../runtime/errors.ts';

/** One mistake of a recipe: the fields that it is about (dotted paths), and what to say. */
export interface Problem {
  readonly fields: readonly string[];
  readonly message: string;
  /** Of an error that has a name of its own, such as DataContract; absent: RecipeInvalid. */
  readonly code?: ErrorCode;
  /** Releases of before trained all the same, so a run that has begun goes on. */
  readonly mild?: boolean;
}

/** More than anyone reads at a time. */
const mostShown = 40;

/** All problems as one error: of several kinds it is the recipe's. */
export function problemsError(problems: readonly Problem[]): RunnerError {
  const messages = problems.map(({ message }) => message);
  const codes = new Set(problems.map(({ code = 'RecipeInvalid' }) => code));
  const [code] = codes;
  const details = { problems: problems.map(({ fields, message }) => ({ fields, message })) };
  if (messages.length === 1) {
    // What has a name of its own is a sentence of its own.
    const text = code === 'RecipeInvalid' ? `The recipe has a problem: ${messages[0]}.` : messages[0]!;
    return new RunnerError(code!, text, { details });
  }
  const shown = messages.slice(0, mostShown).map((message) => `\n- ${message}`);
  const left = messages.length - shown.length;
  const text = `The recipe has ${messages.length} problems:${shown.join('')}${left > 0 ? `\n- and ${left} more` : ''}`;
  return new RunnerError(codes.size === 1 ? code! : 'RecipeInvalid', text, { details });
}

/** Each once, and without those that only follow from what is wrong already. */
export function addProblems(problems: Problem[], more: readonly Problem[]): void {
  const before = [...problems];
  for (const one of more) {
    if (before.some(({ fields }) => touches(fields, one.fields))) continue;
    if (!problems.some(({ message }) => message === one.message)) problems.push(one);
  }
}

/** Whether two sets of dotted paths have a field in common, or one within the other. */
export function touches(a: readonly string[], b: readonly string[]): boolean {
  const within = (x: string, y: string) => x === y || x.startsWith(`${y}.`);
  return a.some((x) => b.some((y) => within(x, y) || within(y, x)));
}
