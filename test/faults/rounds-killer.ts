import { setTimeout as delay } from 'node:timers/promises';
import { isAlive, type ProcessName } from '../../src/runtime/services-state.ts';
import { type CrewMember, processesOf } from './crew.ts';
import type { Site } from './harness.ts';
import type { RoundsFault } from './rounds-schedule.ts';

/** The supervisor gives a service up that ends five times within a minute. */
const killsAMinute = 3;
/** A merge of tiny models is soon over; in place of one that is not met somebody else is killed. */
const mergerMs = 8000;

/** Disturbs the workers and services of rounds by a schedule. */
export class RoundsKiller {
  readonly #site: Site;
  readonly #crew: readonly CrewMember[];
  readonly #left: RoundsFault[];
  readonly #say: (line: string) => void;
  readonly #times = new Map<string, number[]>();
  readonly #dead: ProcessName[] = [];
  /** Troubles that are on, beside the faults that come meanwhile. */
  readonly #troubles = new Set<Promise<void>>();
  /** How often each was done, since one that is not met becomes another. */
  readonly done: Record<string, number> = {};

  constructor(site: Site, crew: readonly CrewMember[], faults: readonly RoundsFault[], say: (line: string) => void) {
    this.#site = site;
    this.#crew = crew;
    this.#left = [...faults];
    this.#say = say;
  }

  get left(): number {
    return this.#left.length;
  }

  /** Trainers of workers that were killed and still live. */
  survivors(): ProcessName[] {
    return this.#dead.filter(isAlive);
  }

  /** Goes by the schedule while the run goes on, and ends when every trouble is over. */
  async haunt(run: string, running: () => boolean): Promise<void> {
    while (running() && this.#left.length > 0) {
      const fault = this.#left[0]!;
      await wait(1000 * fault.after, running);
      if (!running()) break;
      const who = await this.#do(fault, run, running);
      if (who === null) continue;
      this.#left.shift();
      this.done[fault.what] = (this.done[fault.what] ?? 0) + 1;
      this.#say(`${run}: ${fault.what} ${who}${fault.lasts ? ` for ${fault.lasts} s` : ''}, ${this.left} to go`);
    }
    await Promise.all(this.#troubles);
  }

  /** Who was met; null when nobody could be, and it is tried again. */
  async #do({ what, worker, lasts = 0 }: RoundsFault, run: string, running: () => boolean): Promise<string | null> {
    const member = this.#crew[worker % this.#crew.length]!;
    switch (what) {
      case 'kill merger':
        return this.#killWorker((await this.#merger(run, running)) ?? member, running);
      case 'kill worker':
        return this.#killWorker(member, running);
      case 'kill trainer':
        return this.#killTrainer(member, running);
      case 'freeze worker':
        return this.#freeze(member.name, processesOf(member), lasts);
      case 'cut link':
        return this.#cut(member, lasts);
      case 'kill s3':
      case 'kill temporal':
        return this.#killService(what === 'kill s3' ? 's3' : 'temporal', running);
      case 'freeze s3':
      case 'freeze temporal': {
        const name = what === 'freeze s3' ? 's3' : 'temporal';
        const pid = this.#site.services.pid(name);
        return this.#freeze('', pid === null ? [] : [pid], lasts);
      }
    }
  }

  /** The worker that merges the round of a run. */
  async #merger(run: string, running: () => boolean): Promise<CrewMember | null> {
    const phase = this.#site.client.workflow.getHandle(`${run}/pretrain`);
    for (const end = Date.now() + mergerMs; running() && Date.now() < end; await delay(20)) {
      const { raw } = await phase.describe().catch(() => ({ raw: null }));
      const merge = raw?.pendingActivities?.find(({ activityType }) => activityType?.name === 'mergeRound');
      const pid = Number(merge?.lastWorkerIdentity?.split('@')[0]);
      const member = this.#crew.find(({ services }) => services.pid('worker') === pid);
      if (member) return member;
    }
    return null;
  }

  async #killWorker(member: CrewMember, running: () => boolean): Promise<string | null> {
    await this.#pace(member.name, running);
    const pid = member.services.pid('worker');
    const trainer = member.trainer();
    if (pid === null || !running() || !kill(pid, 'SIGKILL')) return null;
    // Its trainer must not live on either.
    if (trainer) this.#dead.push(trainer);
    return `${member.name} ${pid}`;
  }

  async #killTrainer(member: CrewMember, running: () => boolean): Promise<string | null> {
    await this.#pace(`${member.name} trainer`, running);
    const trainer = member.trainer();
    if (!trainer || !isAlive(trainer) || !kill(trainer.pid, 'SIGKILL')) return null;
    return `${member.name} ${trainer.pid}`;
  }

  async #killService(name: 's3' | 'temporal', running: () => boolean): Promise<string | null> {
    await this.#pace(name, running);
    const pid = this.#site.services.pid(name);
    return pid !== null && running() && kill(pid, 'SIGKILL') ? `${pid}` : null;
  }

  /** Processes that stand still for a while, and then go on as if nothing had been. */
  #freeze(name: string, pids: readonly number[], seconds: number): string | null {
    const stopped = pids.filter((pid) => kill(pid, 'SIGSTOP'));
    if (stopped.length === 0) return null;
    this.#meanwhile(delay(1000 * seconds).then(() => stopped.forEach((pid) => void kill(pid, 'SIGCONT'))));
    return [name, ...stopped].join(' ').trim();
  }

  #cut({ name, s3, temporal }: CrewMember, seconds: number): string {
    for (const way of [s3, temporal]) way.become('cut');
    const mend = () => {
      for (const way of [s3, temporal]) way.become('calm');
    };
    this.#meanwhile(delay(1000 * seconds).then(mend));
    return name;
  }

  #meanwhile(trouble: Promise<void>): void {
    const over = trouble.finally(() => this.#troubles.delete(over));
    this.#troubles.add(over);
  }

  /** Waits until a service may be killed again. */
  async #pace(name: string, running: () => boolean): Promise<void> {
    const times = this.#times.get(name) ?? [];
    await wait((times.at(-killsAMinute) ?? 0) + 60_000 - Date.now(), running);
    this.#times.set(name, [...times, Date.now()]);
  }
}

async function wait(ms: number, running: () => boolean): Promise<void> {
  for (const end = Date.now() + ms; running() && Date.now() < end; ) await delay(20);
}

function kill(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, signal);
  } catch {
    return false;
  }
}
