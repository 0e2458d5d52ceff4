import { join } from 'node:path';
import { z } from 'zod';
import { checkpointDamaged } from '../src/checkpoint/damage.ts';
import { parseWith, readDocument, toDocument, trainedShape } from '../src/checkpoint/documents.ts';
import { downloadFile, spreadRanges } from '../src/checkpoint/download.ts';
import { namePattern, parseRoundKey, roundAttemptPrefix, slotKey } from '../src/checkpoint/keys.ts';
import type { RunnerError } from '../src/runtime/errors.ts';
import { sha256 } from '../src/runtime/hash.ts';
import type { ObjectStore } from '../src/storage/object-store.ts';
import { putOnce } from './put-once.ts';
import type { MemberRef, ReplicaInput, RoundInput } from './types/rounds.ts';

const count = z.int().min(0);
const file = z.object({
  path: z.string().regex(/^[a-z]+\.safetensors$/),
  bytes: count,
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
});

const slotSchema = z.object({
  version: z.literal(1),
  slot: count,
  /** What it was trained on, and by so many steps. */
  examples: z.int().min(1),
  steps: z.int().min(1),
  /** Where its lane began, where lanes are dealt by pace: from one round to the next they are others. */
  first: z.int().min(1).optional(),
  attempt: z.string().regex(namePattern),
  files: z.array(file).min(1).max(10),
  /** Bytes that it fetched to begin with; documents of older versions don't say. */
  fetched: count.optional(),
  ...trainedShape,
});

/** What the replica of a slot came to in a round: `slot-0003.json`. */
export type SlotDocument = z.infer<typeof slotSchema>;

const placeOf = ({ plan: { run, phase }, revision, round }: RoundInput) => ({ run, phase, revision, step: round.to });

export interface FoundSlot {
  readonly ref: MemberRef;
  readonly document: SlotDocument;
}

/** What is handed in for a slot already, or null. What can't be read counts as nothing only where none names it. */
export async function findSlot(store: ObjectStore, input: RoundInput, slot: number): Promise<FoundSlot | null> {
  const key = slotKey({ ...placeOf(input), slot });
  const found = await readDocument(store, key);
  if (!found) return null;
  const parsed = 'problem' in found ? found : parseWith(slotSchema, found.bytes);
  if (parsed.problem !== undefined || 'problem' in found) throw damaged(input, key, `can't be read: ${parsed.problem}`);
  return { ref: { slot, key, sha256: sha256(found.bytes) }, document: parsed.value! };
}

/** Hands in a slot: of two attempts the one that was first counts, and this gives that one. */
export async function handIn(store: ObjectStore, input: RoundInput, document: SlotDocument): Promise<FoundSlot> {
  const { slot } = document;
  const key = slotKey({ ...placeOf(input), slot });
  const body = toDocument(document);
  return putOnce(
    async () => {
      await store.put(key, body, { ifAbsent: true, contentType: 'application/json' });
      return { ref: { slot, key, sha256: sha256(body) }, document };
    },
    () => findSlot(store, input, slot),
  );
}

/**
 * What was found of a slot, held to the lane that it is asked for. A run that was begun anew and deals the round otherwise
 * must not merge two lanes of which one has steps of the other.
 */
export function ofLane(input: ReplicaInput, found: FoundSlot): FoundSlot {
  const { lane } = input;
  const { first, steps } = found.document;
  if (lane && (lane.first !== first || lane.steps !== steps))
    throw damaged(
      input,
      found.ref.key,
      `is of ${steps} steps from ${first}, and not of ${lane.steps} from ${lane.first}`,
    );
  return found;
}

/** The document that a workflow names. CheckpointDamaged where it is another, or none. */
export async function memberOf(store: ObjectStore, input: RoundInput, ref: MemberRef): Promise<SlotDocument> {
  const found = await readDocument(store, ref.key);
  if (!found || 'problem' in found || sha256(found.bytes) !== ref.sha256)
    throw damaged(input, ref.key, found ? 'is not what was handed in' : 'is missing');
  const { value, problem } = parseWith(slotSchema, found.bytes);
  if (!value) throw damaged(input, ref.key, `can't be read: ${problem}`);
  return value;
}

/** Fetches a file that a replica handed in, verified, and returns its local path. The round may be an earlier one. */
export async function fetchHandedIn(
  store: ObjectStore,
  input: RoundInput,
  { key, slot }: MemberRef,
  { attempt, files }: SlotDocument,
  path: string,
  folder: string,
): Promise<string> {
  const at = parseRoundKey(key);
  const file = files.find((one) => one.path === path);
  if (!at || !file) throw damaged(input, key, `names no ${path}`);
  const target = join(folder, `slot-${slot}-${path}`);
  const object = roundAttemptPrefix({ ...at, attempt }) + path;
  await downloadFile(
    store,
    object,
    file,
    target,
    (problem, cause) => damaged(input, object, problem, cause),
    undefined,
    spreadRanges,
  );
  return target;
}

/** Where the files of an attempt at a slot go. */
export const filesPrefix = (input: RoundInput, attempt: string): string =>
  roundAttemptPrefix({ ...placeOf(input), attempt });

/** What a round is made of is gone: it is trained again from where it began, and needs no older checkpoint. */
function damaged(input: RoundInput, key: string, problem: string, cause?: unknown): RunnerError {
  const { run, phase, revision, step } = placeOf(input);
  return checkpointDamaged({ run, phase, revision, step }, key, problem, cause);
}
