import { z } from 'zod';
import { positive } from './number-schemas.ts';

/** Slots of a round: more than this is nothing that one merger and one history can hold. */
export const mostSlots = 1000;

const slots = z.int().min(1).max(mostSlots);

const outerSchema = z.strictObject({
  rate: positive.max(10).default(0.7).describe('How far the mean change of the replicas leads: 1 is that mean itself.'),
  momentum: z.number().min(0).max(0.999).default(0.9).describe('Of the steps of rounds. 0: none, and no buffer.'),
  nesterov: z.boolean().default(true).describe("Whether that is Nesterov's, as in PyTorch's SGD."),
});

/** Where the moments of Adam begin in a round. */
export const momentsKinds = ['averaged', 'reset', 'kept'] as const;

/** Which pairs of two examples the sigmoid loss of a replica has. */
export const negativesKinds = ['local', 'reweighted', 'bank'] as const;

/** How long the lanes of a round are. */
export const lanesKinds = ['equal', 'paced'] as const;

/** Training in rounds: several replicas of a phase, each by itself for some steps, then merged. */
export const replicasSchema = z.strictObject({
  number: z
    .union(
      [
        slots,
        z.strictObject({
          least: slots.describe('At least so many.'),
          most: slots.describe('At most so many, as in the first round.'),
        }),
      ],
      `how many replicas, 1 to ${mostSlots}, or {"least": 2, "most": 8}`,
    )
    .describe(
      'Replicas of a round, each on any worker. With least and most a round has one more than the one before when all came in time, and as many as came in time when not.',
    ),
  steps: z.int().positive().describe('Steps that each replica makes in a round: the steps of the phase are shared.'),
  lanes: z
    .enum(lanesKinds)
    .optional()
    .describe(
      'How the steps of a round are dealt to its replicas. equal, or left out: all alike; paced: each has as many as it was fast in the round before, at most 8 times as many as another, and the first round is equal.',
    ),
  outer: outerSchema.prefault({}).describe('What is done with the mean change of a round.'),
  exchange: z
    .enum(['f32', 'bf16', 'int8', 'int4'])
    .default('int8')
    .describe('How changes of parameters are written. Moments, teachers and centres go in f32.'),
  moments: z
    .enum(momentsKinds)
    .default('averaged')
    .describe(
      'Where the moments of Adam begin in a round. averaged: at the mean of the replicas, which is sent with them; reset: at zero; kept: where the replica of the same slot ended, which is stored and not merged.',
    ),
  negatives: z
    .enum(negativesKinds)
    .default('local')
    .describe(
      'Pairs of the sigmoid loss are those of the batch of a replica. reweighted: pairs of two examples weigh as many times as the batches of all replicas together would have of them, so that loss and gradient are on the mean those of that batch. bank: beside them images meet texts that the other replicas had in the round before, which weigh as many as the batches of those replicas have; the first round is local.',
    ),
  quorum: slots
    .optional()
    .describe('With a deadline: so many replicas are waited for, however long it takes. All where it is left out.'),
  deadline: z
    .strictObject({ minutes: positive.max(100_000).describe('From the start of the round.') })
    .optional()
    .describe('After it a round does without the replicas that are late. Absent: all are waited for.'),
});

export type Replicas = z.infer<typeof replicasSchema>;

export const leastOf = ({ number }: Pick<Replicas, 'number'>) => (typeof number === 'number' ? number : number.least);
export const mostOf = ({ number }: Pick<Replicas, 'number'>) => (typeof number === 'number' ? number : number.most);

const ofSoMany = { reweighted: 'reweighted negatives', bank: 'negatives of a bank' } as const;

/** What contradicts itself in a phase's replicas, each with the field that is wrong, below `replicas`. */
export function replicasProblems({
  number,
  quorum,
  deadline,
  negatives,
}: Pick<Replicas, 'number' | 'quorum' | 'deadline' | 'negatives'>): {
  readonly field: string;
  readonly message: string;
}[] {
  const problems: { field: string; message: string }[] = [];
  const add = (field: string, message: string) => problems.push({ field, message });
  const [least, most] = [leastOf({ number }), mostOf({ number })];
  if (least > most) add('number', `is ${JSON.stringify(number)}; a least of at most the most is allowed`);
  if (least < most && !deadline)
    add('number', `is ${JSON.stringify(number)}; one number is allowed without a deadline, since nobody is late then`);
  if (least < most && negatives !== 'local')
    add(
      'number',
      `is ${JSON.stringify(number)}; one number is allowed with ${ofSoMany[negatives]}, which are of so many`,
    );
  if (quorum !== undefined && !deadline)
    add('quorum', `is ${quorum}; it is allowed beside a deadline alone, such as {"minutes": 15}`);
  if (quorum !== undefined && quorum > least) add('quorum', `is ${quorum}; at most the ${least} replicas are allowed`);
  return problems;
}

/** What `setReplicas` may change of a phase in rounds; null takes a quorum or a deadline away. */
export const replicasChangesSchema = z.strictObject({
  number: replicasSchema.shape.number.optional(),
  steps: replicasSchema.shape.steps.optional(),
  lanes: replicasSchema.shape.lanes,
  outer: z
    .strictObject({
      rate: outerSchema.shape.rate.unwrap().optional(),
      momentum: outerSchema.shape.momentum.unwrap().optional(),
      nesterov: z.boolean().optional(),
    })
    .optional(),
  exchange: replicasSchema.shape.exchange.unwrap().optional(),
  moments: replicasSchema.shape.moments.unwrap().optional(),
  quorum: slots.nullable().optional(),
  deadline: replicasSchema.shape.deadline.nullable(),
});

export type ReplicasChanges = z.infer<typeof replicasChangesSchema>;

/** Replicas with these changes. */
export function changedReplicas(before: Replicas, { outer, quorum, deadline, ...changes }: ReplicasChanges): Replicas {
  const { quorum: quorumBefore, deadline: deadlineBefore, ...kept } = before;
  const own = {
    quorum: quorum === undefined ? quorumBefore : quorum,
    deadline: deadline === undefined ? deadlineBefore : deadline,
  };
  const given = Object.entries({ ...changes, ...own }).filter(([, value]) => value !== undefined && value !== null);
  return replicasSchema.parse({ ...kept, outer: { ...before.outer, ...outer }, ...Object.fromEntries(given) });
}

/** What is wrong with changes of the replicas of a phase, in one sentence; null when nothing is. */
export function replicasChangesProblem(value: unknown, before: Replicas): string | null {
  const known = Object.keys(replicasChangesSchema.shape).join(', ');
  const parsed = replicasChangesSchema.safeParse(value ?? {});
  if (!parsed.success)
    return parsed.error.issues
      .map((issue) =>
        issue.code === 'unrecognized_keys'
          ? `${issue.keys.join(', ')} can't be changed; allowed: ${known}`
          : `${issue.path.join('.') || 'it'}: ${issue.message}`,
      )
      .join('; ');
  if (Object.keys(parsed.data).length === 0) return `nothing is named; allowed: ${known}, such as {"number": 8}`;
  const [problem] = replicasProblems(changedReplicas(before, parsed.data));
  return problem ? `${problem.field} ${problem.message}` : null;
}
