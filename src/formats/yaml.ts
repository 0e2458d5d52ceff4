import { pythonFloat } from './python-text.ts';

/** What YAML is made of here. A number is a float; a field that is undefined or null is left out. */
export type Yaml = string | number | boolean | readonly Yaml[] | { readonly [name: string]: Yaml | null | undefined };

/** Words that are no strings when they stand alone. */
const words = /^(?:y|n|yes|no|on|off|true|false|null|~)$/i;

/** Block style with the fields in their order, as PyYAML's safe_dump(sort_keys=False) has it; what is unusual is in quotes. */
export function yamlText(value: Yaml, indent = ''): string {
  if (Array.isArray(value)) {
    if (value.length === 0) return `${indent}[]\n`;
    return (value as readonly Yaml[])
      .map((one) =>
        isScalar(one) ? `${indent}- ${scalar(one)}\n` : `${indent}- ${yamlText(one, `${indent}  `).trimStart()}`,
      )
      .join('');
  }
  if (isScalar(value)) return `${indent}${scalar(value)}\n`;
  return Object.entries(value as Record<string, Yaml | null | undefined>)
    .filter((field): field is [string, Yaml] => field[1] !== undefined && field[1] !== null)
    .map(([name, field]) => {
      if (isScalar(field)) return `${indent}${scalar(name)}: ${scalar(field)}\n`;
      if (Array.isArray(field) && field.length === 0) return `${indent}${scalar(name)}: []\n`;
      // A list lies as far in as its name.
      return `${indent}${scalar(name)}:\n${yamlText(field, Array.isArray(field) ? indent : `${indent}  `)}`;
    })
    .join('');
}

/** What JSON leaves as it is and YAML has for a line end, or not at all. */
const unwritten = /[\u007f-\u009f\u2028\u2029\ufeff\ufffe\uffff]/g;

const isScalar = (value: Yaml): value is string | number | boolean => typeof value !== 'object';

function scalar(value: string | number | boolean): string {
  if (typeof value === 'boolean') return String(value);
  if (typeof value === 'number') return number(value);
  if (/[^ -~\u00a0-\u2027\u202a-\ud7ff]/.test(value))
    return JSON.stringify(value).replace(unwritten, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
  const isPlain = /^[A-Za-z_/]/.test(value) && !/:(?:\s|$)|\s#|\s$/.test(value) && !words.test(value);
  return isPlain ? value : `'${value.replaceAll("'", "''")}'`;
}

/** YAML 1.1 takes 1e-05 for a string: there has to be a point. */
function number(value: number): string {
  const text = pythonFloat(value);
  if (/nan|inf/.test(text)) return text.replace(/(nan|inf)/, '.$1');
  return /^-?\d+e/.test(text) ? text.replace('e', '.0e') : text;
}
