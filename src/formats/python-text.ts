/** What Python's json.dumps and str make of values, so that files are what those tools themselves write, byte for byte. */

/** repr of a float: always with a point or an exponent, which begins below 1e-4 and from 1e16 on. */
export function pythonFloat(value: number): string {
  if (Number.isNaN(value)) return 'nan';
  if (!Number.isFinite(value)) return value > 0 ? 'inf' : '-inf';
  if (Object.is(value, -0)) return '-0.0';
  const size = Math.abs(value);
  if (value === 0 || (size >= 1e-4 && size < 1e16)) {
    const plain = String(value);
    return plain.includes('.') ? plain : `${plain}.0`;
  }
  const [digits, power] = value.toExponential().split('e') as [string, string];
  return `${digits}e${power[0]}${power.slice(1).padStart(2, '0')}`;
}

/** A number is a float, and null is NaN, which Python writes into JSON though JSON has none; `undefined` leaves a field out. */
export function pythonJson(value: string | number | null | undefined | { readonly [name: string]: unknown }): string {
  if (value === null || value === undefined) return 'NaN';
  if (typeof value === 'string') return ascii(JSON.stringify(value));
  if (typeof value === 'number') return pythonFloat(value).replace('nan', 'NaN').replace('inf', 'Infinity');
  const fields = Object.entries(value).filter(([, field]) => field !== undefined);
  return `{${fields.map(([name, field]) => `${pythonJson(name)}: ${pythonJson(field as never)}`).join(', ')}}`;
}

const ascii = (text: string) =>
  text.replace(/[^ -~]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
