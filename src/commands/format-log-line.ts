import { styleText } from 'node:util';
import { longestText } from '../run-logs/line.ts';
import type { ReadLine } from '../run-logs/read.ts';
import { printable, printableUpTo } from '../runtime/printable.ts';

const styles = { info: null, warn: 'yellow', error: 'red' } as const;

/** A line for a person: when, where and by whom, and what. Texts come from a bucket: none of them steers a terminal. */
export function formatLogLine(line: ReadLine, { colours, phases }: { colours: boolean; phases: boolean }): string {
  const { time, level, text, fields, phase, worker, activity, number = 1, from } = line;
  const style = styles[level];
  const paint = (as: 'dim' | 'yellow' | 'red', what: string) =>
    colours ? styleText(as, what, { validateStream: false }) : what;
  const who = [
    ...(phases && phase !== null ? [printable(phase)] : []),
    // Without what tells two processes of one name apart.
    printable(worker).replace(/-[0-9a-f]{8}$/, ''),
    ...(activity === undefined ? [] : [`${printable(activity)}${number > 1 ? ` (attempt ${number})` : ''}`]),
    ...(from === undefined ? [] : [from]),
  ];
  const more = Object.entries(fields ?? {}).map(
    ([name, value]) => `${printable(name)}=${printableUpTo(longestValue, inWords(value))}`,
  );
  const said = [printableUpTo(longestText + 200, text), ...more].join('  ');
  const head = `${time.slice(0, 10)} ${time.slice(11, 23)}  ${who.join(' ')}`;
  return `${paint('dim', printable(head))}  ${style ? paint(style, `${level} ${said}`) : said}`;
}

/** What a worker says of its first step in parts is longer than a name may be. */
const longestValue = 400;

const inWords = (value: unknown) => (typeof value === 'string' ? value : JSON.stringify(value));
