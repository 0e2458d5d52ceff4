import type { HistorySize } from '../workflows/wide-rounds.ts';

/** One line of the table and of `--json`. Fields that a benchmark does not have are left out. */
export interface BenchRecord {
  readonly name: string;
  readonly variant: string;
  readonly ms_min: number;
  readonly ms_median: number;
  readonly runs: number;
  /** User and system time of all threads. */
  readonly cpu_ms_median?: number;
  /** First call, with tracing, compilation and the warm-up steps. */
  readonly warm_up_ms?: number;
  /** Matmul operations of a run (flops.ts), how many of them a second, and the share of the machine's peak. */
  readonly gflop?: number;
  readonly gflops?: number;
  readonly peak_share?: number;
  /** Peak resident memory of the whole process, of the steps after the warm-up, and of the libraries before them. */
  readonly peak_bytes?: number | null;
  readonly steps_peak_bytes?: number | null;
  readonly base_bytes?: number | null;
  /** Peak resident memory beyond what was there before, which is the libraries and `bytes` of inputs. */
  readonly beyond_bytes?: number | null;
  /** What a plan said of the peak of the whole process; and its ratio to what was measured, of both beyond the libraries. */
  readonly planned_bytes?: number;
  readonly planned_ratio?: number;
  /** The peak of the process by its moments: up to the end of the first step, in later steps, and at snapshots. */
  readonly moments?: Readonly<Record<string, number>>;
  readonly images_per_second?: number;
  readonly bytes?: number;
  readonly mb_per_second?: number;
  /** Our time over that of what was run in turns with it: the peer's fastest layout, or the raw transfer. */
  readonly against?: string;
  readonly ratio?: number;
  readonly ratio_low?: number;
  readonly ratio_high?: number;
  /** Best against best: what is left of the ratio where other work disturbs most turns. */
  readonly ratio_of_minima?: number;
  readonly cpu_ratio?: number;
  readonly peak_ratio?: number | null;
  readonly steps_peak_ratio?: number | null;
  /** Relative difference of the losses of the first steps from those of the peer: it is the same model. */
  readonly loss_difference?: number;
  /** Of a run in rounds: each history of Temporal that it and its phases went on in. */
  readonly histories?: readonly HistorySize[];
  /** Share of the time in which devices make steps, and what a plan says of it and of a round. */
  readonly busy?: { readonly measured: number; readonly planned: number; readonly plannedMs: number };
  /** Share of the time of all workers that went into steps which a commit holds, over so many seconds, rounds and kills. */
  readonly goodput?: {
    readonly share: number;
    readonly seconds: number;
    readonly rounds: number;
    readonly kills: number;
  };
  /** From a kill to the next step of the slot, by parts. */
  readonly afterKill?: Readonly<Record<'noticed' | 'taken' | 'fetched' | 'loaded' | 'stepped', number>>;
  /** The least CPU time of each number or byte. */
  readonly nanoseconds?: { readonly cpu: number; readonly unit: 'number' | 'byte' };
  /** What was measured on, in words. */
  readonly machine?: string;
}

export type Report = (record: BenchRecord) => void;
