import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** What takes longest, longest first: begun last, one of them would keep one core busy while the other has nothing. */
const longest = [
  'faults/acid',
  'faults/kills',
  'faults/graph',
  'train/memory-plan',
  'compile/whole-step-xla',
  'worker-life/worker',
  'worker-life/devices',
  'scaler/scaler',
  'faults/weather',
  'infra/edge',
  'train/overlap',
  'faults/sentences',
  'faults/rounds',
  'trainer/measure-step',
  'activities/train-shard',
  'activities/whole-run',
  'activities/score-shard',
  'workflows/steering',
  'activities/evaluation',
  'data/batches/batches',
  'workflows/reset',
  'scoring/scoring',
];

/** Vitest's own order, by sizes or by what the last run took, behind the longest, and files that share processes last. */
export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId, project }: TestSpecification) => {
      const known = longest.findIndex((name) => moduleId.endsWith(`/${name}.test.ts`));
      if (known >= 0) return known;
      return project.config.isolate ? longest.length : longest.length + 1;
    };
    return (await super.sort(files)).sort((a, b) => rank(a) - rank(b));
  }
}
