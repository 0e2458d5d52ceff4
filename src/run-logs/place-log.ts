import { counted } from '../runtime/count-text.ts';
import { Budget } from './budget.ts';
import type { LogLimits } from './limits.ts';
import type { SegmentHeader } from './segment.ts';
import { SegmentFile } from './segment-file.ts';
import type { Sender } from './sender.ts';

export type Source = 'worker' | 'trainer';

export interface PlaceOptions {
  readonly folder: string;
  readonly limits: LogLimits;
  readonly sender: Sender;
  /** Of the next segment, which has a number of its own. */
  readonly header: () => SegmentHeader;
  readonly now: () => number;
  /** Called now and then, when many segments were sent. */
  readonly tidy: () => void;
  /** A line that nobody said: that others are missing. */
  readonly remark: (time: string, text: string) => string;
}

/** Segments of one worker between two times of tidying. */
const tidyEvery = 200;

/** After a disk that was full, when it is tried again. */
const diskMs = 5000;

/** What one worker says for one place: segments, one after another. Nothing here fails or waits. */
export class PlaceLog {
  readonly #options: PlaceOptions;
  readonly #budgets: Readonly<Record<Source, Budget>>;
  #open: SegmentFile | null = null;
  #closedAt: number;
  #endedAt: number | null = null;
  #failedAt = Number.NEGATIVE_INFINITY;
  /** Lines that the disk could not take. */
  #lost = 0;
  #newest = 0;
  #sent = 0;

  constructor(options: PlaceOptions) {
    this.#options = options;
    const { limits, now } = options;
    this.#closedAt = now() - limits.betweenMs;
    this.#budgets = { worker: new Budget(limits.worker, now()), trainer: new Budget(limits.trainer, now()) };
  }

  /** Takes a line, which `make` makes of its time. */
  say(source: Source, make: (time: string) => string): void {
    const now = this.#now();
    const line = make(new Date(now).toISOString());
    const budget = this.#budgets[source];
    if (!budget.take(line, now)) return;
    this.#tellDropped(source, budget.dropped({ last: false }).lines, now);
    this.#write(line, now);
  }

  /** An activity has ended: what it said need not wait for long. */
  ended(): void {
    const now = this.#now();
    for (const [source, budget] of Object.entries(this.#budgets) as [Source, Budget][]) {
      const { lines, kept } = budget.dropped({ last: true });
      this.#tellDropped(source, lines, now);
      for (const line of kept) this.#write(line, now);
    }
    this.#endedAt = now;
  }

  /** Closes the segment in progress when it is due. */
  tick(): void {
    const { limits } = this.#options;
    const now = this.#now();
    if (!this.#open) return;
    const over = this.#endedAt !== null && now - this.#endedAt >= limits.endedMs;
    if (now - this.#open.began >= limits.everyMs || (over && now - this.#closedAt >= limits.betweenMs)) this.close();
  }

  close(): void {
    if (!this.#open) return;
    const file = this.#open;
    this.#open = null;
    this.#closedAt = this.#now();
    this.#endedAt = null;
    try {
      void this.#options.sender.add(file.close()).then(() => {
        if (++this.#sent % tidyEvery === 0) this.#options.tidy();
      });
    } catch {
      // Whoever comes after this worker finds the file as it is.
    }
  }

  /** Whether nobody has said anything for so long. */
  isIdle(ms: number): boolean {
    return !this.#open && this.#now() - Math.max(this.#newest, this.#closedAt) > ms;
  }

  /** Of lines of one place none is earlier than the one before, whatever the clock does. */
  #now(): number {
    return Math.max(this.#newest, this.#options.now());
  }

  #tellDropped(source: Source, lines: number, now: number): void {
    const { limits, remark } = this.#options;
    const { burst, bytesPerSecond } = limits[source];
    const why = `more than ${burst / 1000} kB at once or ${bytesPerSecond / 1000} kB a second`;
    if (lines > 0)
      this.#write(
        remark(new Date(now).toISOString(), `${counted(lines, 'line')} of the ${source} left out: ${why}`),
        now,
      );
  }

  #write(line: string, now: number): void {
    const { folder, limits, sender, header, remark } = this.#options;
    this.#newest = now;
    if (sender.bytes > limits.waitingBytes || now - this.#failedAt < diskMs) {
      this.#lost++;
      return;
    }
    try {
      this.#open ??= new SegmentFile(folder, header(), now);
      if (this.#lost > 0)
        this.#open.write(
          remark(new Date(now).toISOString(), `${counted(this.#lost, 'line')} left out: bucket and disk took no more`),
        );
      this.#lost = 0;
      this.#open.write(line);
    } catch {
      this.#lost++;
      this.#failedAt = now;
      return;
    }
    if (this.#open.bytes >= limits.segmentBytes) this.close();
  }
}
