import { findCommits, newestCommit } from '../src/checkpoint/commits.ts';
import { nameOf } from '../src/checkpoint/damage.ts';
import { toRef } from '../src/checkpoint/documents.ts';
import { readManifest } from '../src/checkpoint/manifest.ts';
import type { Commit, Manifest } from '../src/checkpoint/types.ts';
import { readHistory } from '../src/report/read/history.ts';
import type { Attempt, Dependencies } from './dependencies.ts';
import { beat } from './heartbeat.ts';
import { otherSettings } from './other-settings.ts';
import { inputHash } from './shard-start.ts';
import type { BeginInput, Begun } from './types/shard.ts';

/** A revision that lies in the bucket, by its newest checkpoint. */
interface Revision {
  readonly commit: Commit;
  readonly manifest: Manifest;
}

/**
 * Where a phase begins, or goes on, in a bucket that may hold what earlier starts of the run left there: in the highest
 * revision when that is of this phase as it is planned now, else above all of them, from the newest checkpoint that is.
 * So no revision that was given up stands above the one that is trained, or is met again by it.
 */
export async function beginPhase({ store, log }: Dependencies, input: BeginInput, attempt: Attempt): Promise<Begun> {
  const { plan, revision } = input;
  const heart = beat(attempt);
  try {
    // A run that is begun again has cost already.
    const { used } = await readHistory(store, plan, []);
    const before = used && { used };
    const numbers = [...new Set((await findCommits(store, plan)).map((at) => at.revision))].sort((a, b) => b - a);
    const [highest] = numbers;
    if (highest === undefined || highest < revision) return { revision, from: null, notes: [], ...before };
    const revisions: Revision[] = [];
    for (const number of numbers) {
      const onDamaged = (error: Error) => log.warn({ run: plan.run }, error.message);
      const commit = await newestCommit(store, plan, number, { toStep: plan.to.step, onDamaged });
      if (commit) revisions.push({ commit, manifest: (await readManifest(store, commit)).manifest });
    }
    const isOwn = ({ commit }: Revision) => commit.inputHash === inputHash(input, commit.step);
    const own = revisions.find(isOwn)?.commit;
    if (!own && revisions.some((one) => one.commit.revision === revision && isOfOtherData(one, input)))
      // The first shard says what is wrong: nothing was changed by a person there.
      return { revision, from: null, notes: [], ...before };
    const goesOn = own && (own.revision === highest || own.step >= plan.to.step);
    const begun = goesOn
      ? { revision: own.revision, from: null }
      : { revision: highest + 1, from: own ? toRef(own) : null };
    const notes: string[] = [];
    for (const other of revisions.filter((one) => !isOwn(one))) {
      const { said, again } = await otherSettings(store, plan, other.manifest);
      const here = `revision ${begun.revision} ${own ? 'goes on from' : 'begins anew at'} step ${own?.step ?? plan.from.step} without`;
      notes.push(
        `${nameOf(other.commit)} was trained ${said}; ${here}${again ? `; retryPhase ${again} sets it again` : ''}`,
      );
    }
    for (const note of notes) log.info({ run: plan.run, phase: plan.phase }, note);
    return { ...begun, notes: notes.slice(0, 5), ...before };
  } finally {
    heart.stop();
  }
}

/**
 * Whether a revision that no person changed is of other data or settings than this run: the run is another one then.
 * What differs by the checkpoint that the phase went on from, or by batches that were left out, is the same run.
 */
function isOfOtherData({ manifest }: Revision, { plan }: BeginInput): boolean {
  return manifest.settingsSha256 !== plan.settings.sha256 || manifest.dataFingerprint !== plan.dataFingerprint;
}
