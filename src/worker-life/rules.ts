import { RunnerError } from '../runtime/errors.ts';

/** What a worker ends by, beside signals; null for what does not end it. */
export interface WorkerRules {
  /** Milliseconds without work. */
  readonly idleMs: number | null;
  /** Activities of the queues of devices. */
  readonly maxShards: number | null;
  /** Milliseconds since the process began. */
  readonly maxMs: number | null;
  readonly notice: NoticeOptions;
}

/** Where a notice of preemption may come from. */
export interface NoticeOptions {
  readonly file?: string | undefined;
  readonly url?: string | undefined;
  readonly command?: string | undefined;
}

/** Options as the command line has them. */
export interface RuleOptions {
  readonly exitWhenIdle?: string | undefined;
  readonly maxShards?: string | undefined;
  readonly maxHours?: string | undefined;
  readonly noticeFile?: string | undefined;
  readonly noticeUrl?: string | undefined;
  readonly noticeCommand?: string | undefined;
}

const unitMs = { s: 1000, m: 60_000, h: 3_600_000 } as const;

/** The rules that options ask for. RecipeInvalid when one is not allowed. */
export function rulesOf(options: RuleOptions): WorkerRules {
  const { exitWhenIdle, maxShards, maxHours, noticeFile, noticeUrl, noticeCommand } = options;
  const hours = maxHours === undefined ? null : numberOf('--max-hours', maxHours, 'a number above 0, such as 11.5');
  const shards =
    maxShards === undefined ? null : numberOf('--max-shards', maxShards, 'a whole number of at least 1', true);
  return {
    idleMs: exitWhenIdle === undefined ? null : durationOf('--exit-when-idle', exitWhenIdle),
    maxShards: shards,
    maxMs: hours === null ? null : hours * unitMs.h,
    notice: {
      file: filled('--notice-file', noticeFile),
      url: urlOf('--notice-url', noticeUrl),
      command: filled('--notice-command', noticeCommand),
    },
  };
}

function durationOf(option: string, text: string): number {
  const [, count, unit] = /^(\d+(?:\.\d+)?)(s|m|h)$/.exec(text.trim()) ?? [];
  const ms = Number(count) * (unitMs[unit as keyof typeof unitMs] ?? Number.NaN);
  if (Number.isFinite(ms) && ms >= 1000) return ms;
  throw wrong(option, text, 'a number with s, m or h, of at least 1s, such as 120s');
}

function numberOf(option: string, text: string, allowed: string, whole = false): number {
  const number = text.trim() === '' ? Number.NaN : Number(text);
  if (Number.isFinite(number) && number > 0 && (!whole || Number.isSafeInteger(number))) return number;
  throw wrong(option, text, allowed);
}

function filled(option: string, text: string | undefined): string | undefined {
  if (text === undefined || text.trim() !== '') return text;
  throw wrong(option, text, 'something that is not empty');
}

function urlOf(option: string, text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  if (URL.canParse(text) && /^https?:$/.test(new URL(text).protocol)) return text;
  throw wrong(option, text, 'an address that begins with http:// or https://');
}

const wrong = (option: string, text: string, allowed: string) =>
  new RunnerError('RecipeInvalid', `${option} is ${JSON.stringify(text.slice(0, 100))}; allowed: ${allowed}`);
