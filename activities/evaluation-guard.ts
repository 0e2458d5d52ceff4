import type { Dependencies } from './dependencies.ts';
import { figuresAt, valueIn } from './evaluation-watch.ts';
import type { Guarded, GuardInput } from './types/phase-end.ts';

/** How the figure was that a phase may not let fall, and how it is now. Doing it again changes nothing. */
export async function guardFigure({ store }: Dependencies, { plan, before, key }: GuardInput): Promise<Guarded> {
  const guard = plan.tasks?.guard;
  if (!guard) throw new Error('the plan has no guard');
  const valueAt = async (at: string) =>
    valueIn((await figuresAt(store, at, guard.evaluator)).document, guard.figure, 'evaluate.guard');
  return { before: await valueAt(before), value: await valueAt(key) };
}
