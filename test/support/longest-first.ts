import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** What takes longest, longest first: begun last, one of them would keep one core busy while the other has nothing. */
const longest = [
  'faults/acid',
  'faults/kills',
  'faults/graph',
  'faults/weather',
  'faults/sentences',
  'scaler/scaler',
  'worker-life/worker',
  'infra/edge',
  'train/overlap',
  'compile/whole-step-xla',
  'activities/score-shard',
  'activities/whole-run',
  'workflows/steering',
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
