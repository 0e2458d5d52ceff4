import type { BenchRecord } from './record.ts';

const milliseconds = (ms: number) => (ms < 100 ? ms.toFixed(1) : ms.toFixed(0));
const gigabytes = (bytes: number | null | undefined) => (bytes ? `${(bytes / 1e9).toFixed(2)} GB` : '');

const columns: readonly [title: string, cell: (record: BenchRecord) => string][] = [
  ['name', ({ name }) => name],
  ['variant', ({ variant }) => variant],
  ['min ms', ({ ms_min }) => milliseconds(ms_min)],
  ['median ms', ({ ms_median }) => milliseconds(ms_median)],
  ['rate', rate],
  ['of peak', ({ peak_share: share }) => (share === undefined ? '' : `${(100 * share).toFixed(0)} %`)],
  ['memory', ({ peak_bytes }) => gigabytes(peak_bytes)],
  ['in steps', ({ steps_peak_bytes }) => gigabytes(steps_peak_bytes)],
];

function rate({ gflops, images_per_second: images, mb_per_second: speed }: BenchRecord): string {
  if (gflops !== undefined) return `${gflops.toFixed(0)} GFLOP/s`;
  if (images !== undefined) return `${images.toFixed(0)} images/s`;
  return speed === undefined ? '' : `${speed.toFixed(0)} MB/s`;
}

const widths = [19, 19, 9, 10, 15, 8, 9, 9];
const line = (cells: readonly string[]) =>
  cells
    .map((cell, i) => (i < 2 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!)))
    .join(' ')
    .trimEnd();

export const heading = () => line(columns.map(([title]) => title));
/** One record as a line under the heading, and a second line where more is to be said. */
export function row(record: BenchRecord): string {
  const cells = line(columns.map(([, cell]) => cell(record)));
  const compared = comparison(record);
  return compared === '' ? cells : `${cells}\n  ${compared}`;
}

function historiesText(histories: NonNullable<BenchRecord['histories']>): string {
  const of = ({ workflow, events, bytes }: (typeof histories)[number]) =>
    `${workflow} ${events.toLocaleString('en-US')} (${(bytes / 1e6).toFixed(1)} MB)`;
  return `events of ${histories.length} histories: ${histories.map(of).join(', ')}`;
}

function busyText({ measured, planned, plannedMs }: NonNullable<BenchRecord['busy']>): string {
  const percent = (share: number) => `${(100 * share).toFixed(1)} %`;
  return `devices were busy ${percent(measured)}; planned ${percent(planned)} of rounds of ${milliseconds(plannedMs)} ms`;
}

function goodputText({ share, seconds, rounds, kills }: NonNullable<BenchRecord['goodput']>): string {
  return `goodput ${(100 * share).toFixed(1)} % of ${seconds.toFixed(0)} s: ${rounds} rounds, ${kills} workers killed`;
}

function afterKillText({ noticed, taken, fetched, loaded, stepped }: NonNullable<BenchRecord['afterKill']>): string {
  const text = (seconds: number) => `${seconds.toFixed(1)} s`;
  return `noticed after ${text(noticed)}, taken over ${text(taken)} later, fetched and made in ${text(fetched)}, loaded in ${text(loaded)}, first step ${text(stepped)}`;
}

function comparison(record: BenchRecord): string {
  if (record.histories) return historiesText(record.histories);
  if (record.nanoseconds) return `${record.nanoseconds.cpu.toFixed(2)} ns of CPU a ${record.nanoseconds.unit}`;
  if (record.goodput) return goodputText(record.goodput);
  if (record.afterKill) return afterKillText(record.afterKill);
  if (record.busy) return busyText(record.busy);
  const { beyond_bytes: beyond, bytes, planned_bytes: planned, planned_ratio, peak_bytes, base_bytes } = record;
  if (planned && planned_ratio)
    return `planned ${gigabytes(planned)}, measured ${gigabytes(peak_bytes)}: ${planned_ratio.toFixed(2)} of what it takes beyond ${gigabytes(base_bytes)} of libraries`;
  if (beyond) {
    const before = bytes === undefined ? 'what was held before' : `${gigabytes(bytes)} of inputs and the libraries`;
    return `${gigabytes(beyond)} of memory beyond ${before}`;
  }
  const { against, ratio, ratio_low: low, ratio_high: high, cpu_ratio, peak_ratio, loss_difference: loss } = record;
  if (against === undefined || ratio === undefined) return '';
  const times = (value: number) => value.toFixed(2);
  const parts = [`${times(ratio)} of the time of ${against}`];
  if (low !== undefined && high !== undefined) parts.push(`pair by pair ${times(low)} to ${times(high)}`);
  if (record.ratio_of_minima) parts.push(`best against best ${times(record.ratio_of_minima)}`);
  if (cpu_ratio !== undefined) parts.push(`CPU time ${times(cpu_ratio)}`);
  if (peak_ratio) parts.push(`peak memory ${times(peak_ratio)}`);
  if (record.steps_peak_ratio) parts.push(`in steps ${times(record.steps_peak_ratio)}`);
  if (loss !== undefined) parts.push(`first losses within ${loss.toExponential(0)}`);
  return parts.join(', ');
}
